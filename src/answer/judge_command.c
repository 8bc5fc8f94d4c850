/*
 * judge_command.c - see judge_command.h.
 *
 * The JSON lies in memory that has a file descriptor, which becomes the command's standard input: no pipe that could fill, and
 * no signal when the command does not read.
 */
#include "answer/judge_command.h"

#include <errno.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"

extern char **environ;

static void write_case(const struct free_question *q, const char *answer, struct buffer *out)
{
    struct json_writer w = json_writer_start(out, 0);
    json_write_object(&w);
    json_write_key(&w, "id");
    json_write_string(&w, q->id);
    if (q->group) {
        json_write_key(&w, "group");
        json_write_string(&w, q->group);
    }
    if (*q->context) {
        json_write_key(&w, "context");
        json_write_string(&w, q->context);
    }
    json_write_key(&w, "question");
    json_write_string(&w, q->text);
    json_write_key(&w, "answer");
    json_write_string(&w, answer);
    json_write_key(&w, "answers");
    json_write_array(&w);
    for (int i = 0; i < q->n_answers; i++)
        json_write_string(&w, q->answers[i]);
    json_write_end(&w, ']');
    json_write_end(&w, '}');
    buffer_putc(out, '\n');
}

/* A descriptor to read the text from, or -1 with errno. */
static int readable(const struct buffer *text)
{
    const int fd = memfd_create("answer", MFD_CLOEXEC);
    size_t done = 0;
    while (fd >= 0 && done < text->size) {
        const ssize_t n = write(fd, text->data + done, text->size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            const int why = errno;
            close(fd);
            errno = why;
            return -1;
        }
        done += (size_t)n;
    }
    if (fd >= 0)
        lseek(fd, 0, SEEK_SET);
    return fd;
}

/* 0, or an errno. */
static int start(const char *command, int input, pid_t *pid)
{
    /* posix_spawn takes char *, and changes nothing */
    char *const argv[] = {(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c",
                          (char *)(uintptr_t)command, NULL};
    posix_spawn_file_actions_t actions;
    int why = posix_spawn_file_actions_init(&actions);
    if (why)
        return why;
    why = posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    if (!why) /* results are printed on standard output: the command must not write among them */
        why = posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
    if (!why)
        why = posix_spawn(pid, "/bin/sh", &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return why;
}

int judge_command(const char *command, const struct free_question *q, const char *answer,
                  int *right, struct plumb_error *e)
{
    struct buffer text = BUFFER_EMPTY;
    pid_t pid;
    int state;
    write_case(q, answer, &text);
    if (text.failed) {
        buffer_free(&text);
        return error_memory(e, "a question for the judge");
    }
    const int input = readable(&text);
    const int input_error = errno;
    buffer_free(&text);
    if (input < 0)
        return error_set(e, PLUMB_MACHINE, "no memory file for the judge's input: %s",
                         strerror(input_error));
    const int why = start(command, input, &pid);
    close(input);
    if (why)
        return error_set(e, PLUMB_MACHINE, "judge command: /bin/sh did not start: %s",
                         strerror(why));
    while (waitpid(pid, &state, 0) < 0)
        if (errno != EINTR)
            return error_set(e, PLUMB_MACHINE, "judge command: lost track of it: %s",
                             strerror(errno));
    if (WIFSIGNALED(state))
        return error_set(e, PLUMB_INPUT, "judge command: ended by signal %d on question %s: %s",
                         WTERMSIG(state), q->id, command);
    const int status = WEXITSTATUS(state);
    if (status > 1)
        return error_set(e, PLUMB_INPUT,
                         "judge command: ended with status %d on question %s, expected 0 for right "
                         "or 1 for wrong: %s",
                         status, q->id, command);
    *right = status == 0;
    return PLUMB_OK;
}
