/*
 * test_trace.c - the life of a trace file: created, killed, resumed, finished, refused; and what happens to the files
 * that stand in its way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/memory.h"
#include "synthetic.h"

static bool exists(const char *path)
{
    return !access(path, F_OK);
}

static void says(const struct plumb_error *e, const char *part)
{
    if (!strstr(e->message, part))
        fail_msg("\"%s\" does not say \"%s\"", e->message, part);
}

static struct trace create(const char *path, const struct trace_header *h, size_t expect_resumed)
{
    struct plumb_error e = {0};
    struct trace t = {0};
    size_t resumed = 999;
    if (trace_create(path, h, &t, &resumed, &e))
        fail_msg("%s", e.message);
    assert_int_equal(resumed, expect_resumed);
    return t;
}

static void fill_and_commit(struct trace *t, size_t from, size_t n)
{
    struct plumb_error e = {0};
    for (size_t i = from; i < from + n; i++) {
        synthetic_fill(t, i);
        assert_int_equal(trace_commit(t, &i, 1, &e), PLUMB_OK);
    }
}

static void what_was_written_is_read_back(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct trace_header h = synthetic_header(3, 15);
    struct trace t;
    assert_int_equal(synthetic_write(synthetic_path("t"), &h, &e), PLUMB_OK);
    assert_false(exists(synthetic_path("t.partial")));
    if (trace_open(synthetic_path("t"), &t, &e))
        fail_msg("%s", e.message);
    assert_int_equal(t.header.n, 15);
    assert_int_equal(t.header.first, 3);
    assert_int_equal(t.header.total, SYNTHETIC_TOTAL);
    assert_int_equal(t.header.n_options, SYNTHETIC_K);
    assert_int_equal(t.header.n_layers, SYNTHETIC_L);
    assert_int_equal(t.header.n_hidden, 2);
    assert_int_equal(t.header.hidden_layers[0], 0);
    assert_int_equal(t.header.hidden_layers[1], 3);
    assert_int_equal(t.header.hidden_size, SYNTHETIC_D);
    assert_true(t.header.with_entropy);
    assert_string_equal(t.header.model, h.model);
    assert_string_equal(t.header.model_fingerprint, h.model_fingerprint);
    assert_string_equal(t.header.architecture, h.architecture);
    assert_string_equal(t.header.tokenizer_hash, h.tokenizer_hash);
    assert_string_equal(t.header.preset, h.preset);
    assert_string_equal(t.header.preset_hash, h.preset_hash);
    assert_string_equal(t.header.task, h.task);
    assert_string_equal(t.header.task_hash, h.task_hash);
    assert_string_equal(t.header.precision, h.precision);
    assert_string_equal(t.header.arithmetic, h.arithmetic);
    assert_string_equal(t.header.lens, h.lens);
    assert_string_equal(t.header.program, h.program);
    assert_int_equal(t.header.n_groups, 3);
    for (int i = 0; i < 3; i++)
        assert_string_equal(t.header.groups[i], synthetic_groups[i]);
    assert_true(t.logits[0] == 3.0F && t.logits[SYNTHETIC_K] == 4.0F);
    assert_int_equal(t.options[1], synthetic_options(4));
    assert_int_equal(t.hidden[(size_t)SYNTHETIC_S * SYNTHETIC_D], 400);
    trace_close(&t);
    trace_close(&t);
}

static void arrays_not_asked_for_are_null_and_not_in_the_file(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct trace_header h = synthetic_header(0, SYNTHETIC_TOTAL);
    struct trace t;
    h.n_layers = h.n_hidden = h.hidden_size = 0;
    h.hidden_layers = NULL;
    h.with_entropy = false;
    h.lens = "none";
    assert_int_equal(synthetic_write(synthetic_path("t"), &h, &e), PLUMB_OK);
    assert_int_equal(trace_open(synthetic_path("t"), &t, &e), PLUMB_OK);
    assert_null(t.lens);
    assert_null(t.entropy);
    assert_null(t.hidden);
    assert_non_null(t.logits);
    trace_close(&t);
    size_t n = 0;
    unsigned char *bytes = synthetic_read(synthetic_path("t"), &n);
    assert_null(memmem(bytes, n, "\"hidden\"", 8));
    assert_int_equal(n % 64, SYNTHETIC_TOTAL * (16 + SYNTHETIC_K * 4 + 4 * 4 + 1) % 64);
    free(bytes);
}

static void an_unfinished_trace_is_not_read_and_not_finished(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct trace_header h = synthetic_header(0, SYNTHETIC_TOTAL);
    struct trace t = create(synthetic_path("t"), &h, 0), u;
    assert_true(t.logits[0] == -INFINITY && t.lens[7] == -INFINITY);
    fill_and_commit(&t, 0, 4);
    assert_int_equal(trace_finish(&t, &e), PLUMB_INPUT);
    says(&e, "only 4 of 23 items are done");
    assert_false(exists(synthetic_path("t")));
    assert_int_equal(trace_open(synthetic_path("t.partial"), &u, &e), PLUMB_INPUT);
    says(&e, "only 4 of 23");
    trace_close(&t);
    assert_true(exists(synthetic_path("t.partial")));
}

/* Kills a child at many points of its work; the file that comes out must not know. */
static void a_killed_run_resumes_to_the_same_bytes(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct trace_header h = synthetic_header(0, SYNTHETIC_TOTAL);
    assert_int_equal(synthetic_write(synthetic_path("u"), &h, &e), PLUMB_OK);
    size_t done = 0;
    for (int round = 0; done < SYNTHETIC_TOTAL; round++) {
        size_t stop = done + 1 + (size_t)round % 4;
        pid_t child = fork();
        assert_true(child >= 0);
        if (!child) {
            struct trace t;
            size_t resumed;
            if (trace_create(synthetic_path("t"), &h, &t, &resumed, &e) || resumed != done)
                _exit(1);
            for (size_t i = 0; i < SYNTHETIC_TOTAL && i < stop; i++)
                if (!t.done[i]) {
                    synthetic_fill(&t, i);
                    if (trace_commit(&t, &i, 1, &e))
                        _exit(2);
                }
            if (stop < SYNTHETIC_TOTAL) {
                t.logits[stop * SYNTHETIC_K] = 99; /* half an item: filled again by the next run */
                t.label[stop] = 77;
            }
            kill(getpid(), SIGKILL);
        }
        int result;
        assert_int_equal(waitpid(child, &result, 0), child);
        assert_true(WIFSIGNALED(result) && WTERMSIG(result) == SIGKILL);
        assert_false(exists(synthetic_path("t")));
        done = stop < SYNTHETIC_TOTAL ? stop : SYNTHETIC_TOTAL;
    }
    struct trace t = create(synthetic_path("t"), &h, SYNTHETIC_TOTAL);
    assert_int_equal(trace_finish(&t, &e), PLUMB_OK);
    assert_true(synthetic_same(synthetic_path("t"), synthetic_path("u")));
}

static void a_finished_trace_is_found_finished(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct trace_header h = synthetic_header(0, SYNTHETIC_TOTAL);
    assert_int_equal(synthetic_write(synthetic_path("t"), &h, &e), PLUMB_OK);
    struct stat before, after;
    assert_int_equal(stat(synthetic_path("t"), &before), 0);
    struct trace t = create(synthetic_path("t"), &h, SYNTHETIC_TOTAL);
    assert_int_equal(trace_commit(&t, NULL, 1, &e), PLUMB_OK);
    assert_int_equal(trace_finish(&t, &e), PLUMB_OK);
    assert_int_equal(stat(synthetic_path("t"), &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    assert_false(exists(synthetic_path("t.partial")));
}

/* With t (finished or partial) in the way, a run with another header is refused and t keeps its bytes. */
static void refuse_other(const char *file, const struct trace_header *other, const char *field)
{
    struct plumb_error e = {0};
    struct trace t;
    size_t resumed, n = 0, m = 0;
    unsigned char *before = synthetic_read(synthetic_path(file), &n);
    assert_non_null(before);
    assert_int_equal(trace_create(synthetic_path("t"), other, &t, &resumed, &e), PLUMB_INPUT);
    says(&e, field);
    says(&e, file);
    unsigned char *after = synthetic_read(synthetic_path(file), &m);
    assert_int_equal(n, m);
    assert_memory_equal(before, after, n);
    free(before);
    free(after);
}

static void another_models_trace_is_refused_and_untouched(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct trace_header h = synthetic_header(0, SYNTHETIC_TOTAL), model = h, task = h, size = h;
    model.model_fingerprint = "ffffffffffffffffffffffffffffffff";
    task.task_hash = "0";
    size.n = 5;
    struct trace t = create(synthetic_path("t"), &h, 0);
    fill_and_commit(&t, 0, 4);
    trace_close(&t);
    for (int finished = 0; finished < 2; finished++) {
        const char *file = finished ? "t" : "t.partial";
        refuse_other(file, &model, "model_fingerprint: found \"00112233445566778899aabbccddeeff\"");
        refuse_other(file, &task, "task_hash");
        refuse_other(file, &size, "items: found \"23\", this run has \"5\"");
        if (!finished)
            unlink(synthetic_path("t.partial"));
        if (!finished)
            assert_int_equal(synthetic_write(synthetic_path("t"), &h, &e), PLUMB_OK);
    }
}

static void put(const char *name, const void *bytes, size_t n)
{
    FILE *f = fopen(synthetic_path(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

static void a_strangers_file_is_refused_and_untouched(void **state)
{
    (void)state;
    struct trace_header h = synthetic_header(0, SYNTHETIC_TOTAL);
    put("t.partial", "my thesis", 9);
    refuse_other("t.partial", &h, "not a trace");
    static const char zeros[10000]; /* larger than the trace: nothing that a killed run leaves */
    put("t.partial", zeros, sizeof zeros);
    refuse_other("t.partial", &h, "not a trace");
    unlink(synthetic_path("t.partial"));
    put("t", "my thesis", 9);
    refuse_other("t", &h, "the output file exists already");
    assert_false(exists(synthetic_path("t.partial")));
}

/* Killed while laying out: the header's length is still zero, so nothing was ever recorded. */
static void a_layout_that_was_never_finished_is_laid_out_again(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct trace_header h = synthetic_header(0, SYNTHETIC_TOTAL);
    char junk[100];
    memset(junk, 'x', sizeof junk);
    memset(junk, 0, 8);
    assert_int_equal(synthetic_write(synthetic_path("u"), &h, &e), PLUMB_OK);
    for (size_t n = 0; n <= sizeof junk; n += 50) {
        put("t.partial", junk, n);
        assert_int_equal(synthetic_write(synthetic_path("t"), &h, &e), PLUMB_OK);
        assert_true(synthetic_same(synthetic_path("t"), synthetic_path("u")));
        unlink(synthetic_path("t"));
    }
}

static void two_processes_do_not_fill_one_file(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct trace_header h = synthetic_header(0, SYNTHETIC_TOTAL);
    struct trace t = create(synthetic_path("t"), &h, 0), u;
    size_t resumed;
    assert_int_equal(trace_create(synthetic_path("t"), &h, &u, &resumed, &e), PLUMB_INPUT);
    says(&e, "being filled by another process");
    fill_and_commit(&t, 0, SYNTHETIC_TOTAL);
    assert_int_equal(trace_finish(&t, &e), PLUMB_OK);
    u = create(synthetic_path("t"), &h, SYNTHETIC_TOTAL);
    trace_close(&u);
}

static void a_file_that_appears_meanwhile_is_not_replaced(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct trace_header h = synthetic_header(0, SYNTHETIC_TOTAL);
    struct trace t = create(synthetic_path("t"), &h, 0);
    fill_and_commit(&t, 0, SYNTHETIC_TOTAL);
    put("t", "precious", 8);
    assert_int_equal(trace_finish(&t, &e), PLUMB_INPUT);
    says(&e, "appeared meanwhile");
    trace_close(&t);
    size_t n = 0;
    unsigned char *bytes = synthetic_read(synthetic_path("t"), &n);
    assert_int_equal(n, 8);
    free(bytes);
    assert_true(exists(synthetic_path("t.partial")));
}

static void numbers_that_are_none_are_not_finished(void **state)
{
    (void)state;
    struct trace_header h = synthetic_header(0, SYNTHETIC_TOTAL);
    struct trace t = create(synthetic_path("t"), &h, 0);
    struct plumb_error e = {0};
    fill_and_commit(&t, 0, SYNTHETIC_TOTAL);
    float kept = t.logits[SYNTHETIC_K];
    t.logits[SYNTHETIC_K] = NAN;
    assert_int_equal(trace_finish(&t, &e), PLUMB_INPUT);
    says(&e, "item 1: logits");
    t.logits[SYNTHETIC_K] = kept;
    kept = t.lens[SYNTHETIC_K];
    t.lens[SYNTHETIC_K] = INFINITY;
    assert_int_equal(trace_finish(&t, &e), PLUMB_INPUT);
    says(&e, "item 0, layer 2: lens");
    t.lens[SYNTHETIC_K] = kept;
    t.logits[4] = 0; /* item 0 has two options: this is padding */
    assert_int_equal(trace_finish(&t, &e), PLUMB_INPUT);
    says(&e, "padding");
    t.logits[4] = -INFINITY;
    t.label[2] = 4;
    assert_int_equal(trace_finish(&t, &e), PLUMB_INPUT);
    says(&e, "item 2: found label 4");
    t.label[2] = -1;
    t.group[3] = 3;
    assert_int_equal(trace_finish(&t, &e), PLUMB_INPUT);
    says(&e, "item 3: found group 3");
    t.group[3] = 0;
    t.options[5] = 6;
    assert_int_equal(trace_finish(&t, &e), PLUMB_INPUT);
    says(&e, "item 5: found 6 options");
    t.options[5] = synthetic_options(5);
    t.logits[0] = -INFINITY; /* an option of probability zero is a number */
    assert_int_equal(trace_finish(&t, &e), PLUMB_OK);
}

static void headers_that_ask_for_nonsense_are_refused(void **state)
{
    (void)state;
    static const int falling[] = {3, 1};
    for (int i = 0; i < 9; i++) {
        struct plumb_error e = {0};
        struct trace_header h = synthetic_header(0, SYNTHETIC_TOTAL);
        struct trace t;
        size_t resumed;
        if (i == 0)
            h.n = 0;
        else if (i == 1)
            h.n_options = 1;
        else if (i == 2)
            h.n_options = 27;
        else if (i == 3)
            h.n_layers = -1;
        else if (i == 4)
            h.hidden_layers = falling;
        else if (i == 5)
            h.hidden_size = 0;
        else if (i == 6)
            h.n_groups = 0;
        else if (i == 7)
            h.first = 1;
        else
            h.n = h.total = SIZE_MAX / 8;
        assert_int_equal(trace_create(synthetic_path("t"), &h, &t, &resumed, &e), PLUMB_INPUT);
        says(&e, "the header asks for");
        assert_false(exists(synthetic_path("t.partial")));
    }
}

static void an_output_that_cannot_be_written_is_the_users_mistake(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct trace_header h = synthetic_header(0, SYNTHETIC_TOTAL);
    struct trace t;
    size_t resumed;
    assert_int_equal(trace_create("/nonexistent/t", &h, &t, &resumed, &e), PLUMB_INPUT);
    says(&e, "/nonexistent/t.partial");
    assert_int_equal(mkdir(synthetic_path("t.partial"), 0700), 0);
    assert_int_equal(trace_create(synthetic_path("t"), &h, &t, &resumed, &e), PLUMB_INPUT);
    says(&e, "t.partial");
    rmdir(synthetic_path("t.partial"));
}

/* A limit on the size of files stands in for a full disk where no small file system can be mounted. */
static int create_beyond_file_limit(void)
{
    struct plumb_error e = {0};
    struct trace_header h = synthetic_header(0, SYNTHETIC_TOTAL);
    struct trace t;
    size_t resumed;
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {4096, 4096};
    if (setrlimit(RLIMIT_FSIZE, &limit))
        return 10;
    if (trace_create(synthetic_path("t"), &h, &t, &resumed, &e) != PLUMB_MACHINE)
        return 11;
    return !strstr(e.message, "cannot reserve") || exists(synthetic_path("t.partial"));
}

/* Mounts of this process alone: as root, or else as root of a user namespace of its own. */
static bool own_mounts(void)
{
    if (!unshare(CLONE_NEWNS))
        return !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    char map[64];
    int n = snprintf(map, sizeof map, "0 %d 1", (int)getuid());
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS))
        return false;
    int fd = open("/proc/self/uid_map", O_WRONLY);
    bool mapped = fd >= 0 && write(fd, map, (size_t)n) == n;
    close(fd);
    return mapped;
}

static int create_on_full_disk(void)
{
    struct plumb_error e = {0};
    struct trace_header h = synthetic_header(0, SYNTHETIC_TOTAL);
    struct trace t;
    size_t resumed;
    if (!own_mounts() || mount("tmpfs", synthetic_folder, "tmpfs", 0, "size=4k"))
        return 99; /* not allowed here */
    if (trace_create(synthetic_path("t"), &h, &t, &resumed, &e) != PLUMB_MACHINE)
        return 11;
    return !strstr(e.message, "No space left") || exists(synthetic_path("t.partial"));
}

static int in_child(int (*f)(void))
{
    int result = -1;
    pid_t child = fork();
    if (!child)
        _exit(f());
    return waitpid(child, &result, 0) == child && WIFEXITED(result) ? WEXITSTATUS(result) : -1;
}

static void a_full_disk_shows_at_the_start_and_leaves_nothing(void **state)
{
    (void)state;
    assert_int_equal(in_child(create_beyond_file_limit), 0);
    assert_false(exists(synthetic_path("t.partial")));
    int result = in_child(create_on_full_disk);
    if (result == 99)
        print_message(
            "the part with a real small file system is skipped: mounting is not allowed\n");
    else
        assert_int_equal(result, 0);
}

static void every_failing_allocation_is_reported(void **state)
{
    (void)state;
    struct trace_header h = synthetic_header(0, SYNTHETIC_TOTAL);
    struct plumb_error e = {0};
    int failures = 0;
    for (long n = 1;; n++) {
        mem_fail_after(n);
        int status = synthetic_write(synthetic_path("t"), &h, &e);
        mem_fail_after(0);
        if (exists(synthetic_path("t")))
            break; /* what fails after the rename is not worth an error */
        assert_int_equal(status, PLUMB_MACHINE);
        failures++;
    }
    assert_true(failures >= 5);
    failures = 0;
    for (long n = 1;; n++) {
        struct trace t;
        mem_fail_after(n);
        int status = trace_open(synthetic_path("t"), &t, &e);
        mem_fail_after(0);
        if (!status) {
            trace_close(&t);
            break;
        }
        assert_int_equal(status, PLUMB_MACHINE);
        failures++;
    }
    assert_true(failures >= 5);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, synthetic_setup, synthetic_clear)
    const struct CMUnitTest tests[] = {
        CASE(what_was_written_is_read_back),
        CASE(arrays_not_asked_for_are_null_and_not_in_the_file),
        CASE(an_unfinished_trace_is_not_read_and_not_finished),
        CASE(a_killed_run_resumes_to_the_same_bytes),
        CASE(a_finished_trace_is_found_finished),
        CASE(another_models_trace_is_refused_and_untouched),
        CASE(a_strangers_file_is_refused_and_untouched),
        CASE(a_layout_that_was_never_finished_is_laid_out_again),
        CASE(two_processes_do_not_fill_one_file),
        CASE(a_file_that_appears_meanwhile_is_not_replaced),
        CASE(numbers_that_are_none_are_not_finished),
        CASE(headers_that_ask_for_nonsense_are_refused),
        CASE(an_output_that_cannot_be_written_is_the_users_mistake),
        CASE(a_full_disk_shows_at_the_start_and_leaves_nothing),
        CASE(every_failing_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
