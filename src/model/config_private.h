/*
 * config_private.h - what config_json.c and config_gguf.c share.
 */
#ifndef MODEL_CONFIG_PRIVATE_H
#define MODEL_CONFIG_PRIVATE_H

#include "model/config.h"

void config_defaults(struct config *c);
/* Copies the table row's choices, which a family's variants may then change. */
void config_from_row(struct config *c);
/* What must hold whatever the file: heads divide, sizes multiply without overflow. */
int config_check(const struct config *c, const char *path, struct plumb_error *e);

#endif
