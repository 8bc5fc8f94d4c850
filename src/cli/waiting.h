/*
 * waiting.h - how the threads of one matrix product wait for the last of them.
 */
#ifndef CLI_WAITING_H
#define CLI_WAITING_H

/* Lets waiting threads sleep instead of spin. Call first thing in main; may start the program anew. */
void waiting_passive(char **argv);

#endif
