/*
 * test_file.c - the promises of base/file.h. Everything happens in a fresh temporary folder,
 * removed at the end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/plumb-test-file-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    struct file_list l;
    if (file_list_folder(folder, &l, NULL) != PLUMB_OK)
        return -1;
    for (size_t i = 0; i < l.count; i++) {
        char *path = file_join(folder, l.names[i]);
        remove(path);
        mem_free(path);
    }
    file_list_free(&l);
    return rmdir(folder);
}

/* The path of a name in the folder; four may be in use at a time. */
static const char *in_folder(const char *name)
{
    static char path[4][200];
    static int next;
    next = (next + 1) % 4;
    snprintf(path[next], sizeof path[next], "%s/%s", folder, name);
    return path[next];
}

static void put_file(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void assert_file_holds(const char *path, const char *text)
{
    struct file_map m;
    struct plumb_error e;
    if (file_map_open(path, &m, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    assert_int_equal(m.size, strlen(text));
    assert_memory_equal(m.data, text, m.size);
    file_map_close(&m);
}

/* No temporary file may be left by anything. */
static void assert_nothing_temporary(void)
{
    struct file_list l;
    assert_int_equal(file_list_folder(folder, &l, NULL), PLUMB_OK);
    for (size_t i = 0; i < l.count; i++)
        if (strstr(l.names[i], ".tmp-"))
            fail_msg("%s was left behind", l.names[i]);
    file_list_free(&l);
}

static void a_file_is_mapped_as_it_is(void **state)
{
    (void)state;
    static unsigned char bytes[20000];
    const char *path = in_folder("map");
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 31 % 256);
    put_file(path, bytes, sizeof bytes);
    struct file_map m;
    assert_int_equal(file_map_open(path, &m, NULL), PLUMB_OK);
    assert_int_equal(m.size, sizeof bytes);
    assert_memory_equal(m.data, bytes, sizeof bytes);
    /* Pages that were forgotten come back from the file; odd ranges and foreign pointers do no
     * harm. */
    file_map_forget(&m, m.data, m.size);
    file_map_forget(&m, m.data + 5, 9000);
    file_map_forget(&m, m.data + 5, 3);
    file_map_forget(&m, m.data + m.size, 0);
    file_map_forget(&m, m.data + 1, SIZE_MAX);
    file_map_forget(&m, bytes, 5);
    assert_memory_equal(m.data, bytes, sizeof bytes);
    file_map_close(&m);
    assert_int_equal(m.size, 0);
    file_map_close(&m);
}

static void an_empty_file_is_an_empty_string(void **state)
{
    (void)state;
    const char *path = in_folder("empty");
    struct file_map m;
    put_file(path, "", 0);
    assert_int_equal(file_map_open(path, &m, NULL), PLUMB_OK);
    assert_int_equal(m.size, 0);
    assert_string_equal((const char *)m.data, "");
    file_map_close(&m);
}

static void what_cannot_be_mapped_is_named(void **state)
{
    (void)state;
    struct plumb_error e;
    struct file_map m;
    assert_int_equal(file_map_open(in_folder("missing"), &m, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "/missing: No such file"));
    assert_int_equal(file_map_open(folder, &m, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "Is a directory"));
    assert_int_equal(file_map_open("/dev/null", &m, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "regular file"));
    assert_int_equal(mkfifo(in_folder("pipe"), 0600), 0);
    assert_int_equal(file_map_open(in_folder("pipe"), &m, &e), PLUMB_INPUT); /* and does not wait */
    file_map_close(&m); /* safe after a failure */
}

static void names_join_and_split(void **state)
{
    (void)state;
    static const char *const joined[][3] = {
        {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"/", "b", "/b"}, {"", "b", "b"}};
    for (size_t i = 0; i < 4; i++) {
        char *path = file_join(joined[i][0], joined[i][1]);
        assert_string_equal(path, joined[i][2]);
        mem_free(path);
    }
    assert_string_equal(file_base_name("/a/b.c"), "b.c");
    assert_string_equal(file_base_name("b.c"), "b.c");
    assert_string_equal(file_base_name("a/"), "");
    mem_fail_after(1);
    assert_null(file_join("a", "b"));
}

static void existing_and_folder_are_told_apart(void **state)
{
    (void)state;
    put_file(in_folder("there"), "x", 1);
    assert_true(file_exists(in_folder("there")));
    assert_false(file_is_folder(in_folder("there")));
    assert_true(file_exists(folder));
    assert_true(file_is_folder(folder));
    assert_false(file_exists(in_folder("not there")));
    assert_false(file_is_folder(in_folder("not there")));
}

static void a_folder_lists_in_order(void **state)
{
    (void)state;
    struct file_list l;
    struct plumb_error e;
    const char *list = in_folder("list");
    assert_int_equal(mkdir(list, 0700), 0);
    assert_int_equal(file_list_folder(list, &l, &e), PLUMB_OK);
    assert_int_equal(l.count, 0);
    file_list_free(&l);
    char path[256];
    for (int i = 0; i < 40; i++) {
        snprintf(path, sizeof path, "%s/%02d", list, i * 17 % 40);
        put_file(path, "", 0);
    }
    assert_int_equal(file_list_folder(list, &l, &e), PLUMB_OK);
    assert_int_equal(l.count, 40);
    for (size_t i = 0; i < 40; i++) {
        snprintf(path, sizeof path, "%02zu", i);
        assert_string_equal(l.names[i], path);
    }
    file_list_free(&l);
    file_list_free(&l);
    /* Every allocation on the way may fail; nothing leaks, nothing is half there. */
    int failures = 0, status = PLUMB_MACHINE;
    for (long n = 1; status != PLUMB_OK && n < 200; n++) {
        mem_fail_after(n);
        status = file_list_folder(list, &l, &e);
        mem_fail_after(0);
        if (status != PLUMB_OK) {
            failures++;
            assert_int_equal(status, PLUMB_MACHINE);
            assert_null(l.names);
            assert_int_equal(l.count, 0);
        }
    }
    assert_int_equal(status, PLUMB_OK);
    assert_true(failures >= 40);
    file_list_free(&l);
    for (int i = 0; i < 40; i++) {
        snprintf(path, sizeof path, "%s/%02d", list, i);
        unlink(path);
    }
    assert_int_equal(file_list_folder(in_folder("none"), &l, &e), PLUMB_INPUT);
    assert_int_equal(file_list_folder(in_folder("there"), &l, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "Not a directory"));
}

static void a_file_appears_whole_at_the_commit(void **state)
{
    (void)state;
    struct file_writer w;
    struct plumb_error e;
    const char *path = in_folder("out");
    for (int round = 0; round < 2; round++) { /* anew, then over the old one */
        char text[20];
        snprintf(text, sizeof text, "round %d", round);
        assert_int_equal(file_writer_open(path, &w, &e), PLUMB_OK);
        fputs(text, w.stream);
        fflush(w.stream);
        if (round == 0)
            assert_false(file_exists(path));
        else
            assert_file_holds(path, "round 0");
        assert_int_equal(file_writer_commit(&w, &e), PLUMB_OK);
        assert_file_holds(path, text);
        assert_nothing_temporary();
        file_writer_abandon(&w);
        file_writer_abandon(&w);
        assert_file_holds(path, text);
    }
}

static void an_abandoned_file_leaves_nothing_and_touches_nothing(void **state)
{
    (void)state;
    struct file_writer w;
    const char *path = in_folder("abandoned");
    assert_int_equal(file_writer_open(path, &w, NULL), PLUMB_OK);
    fputs("x", w.stream);
    file_writer_abandon(&w);
    assert_false(file_exists(path));
    put_file(path, "old", 3);
    assert_int_equal(file_writer_open(path, &w, NULL), PLUMB_OK);
    fputs("new", w.stream);
    file_writer_abandon(&w);
    file_writer_abandon(&w);
    assert_file_holds(path, "old");
    assert_nothing_temporary();
    struct plumb_error e;
    assert_int_equal(file_writer_commit(&w, &e),
                     PLUMB_MACHINE); /* nothing is open: an error, no crash */
}

static void the_leftover_of_a_killed_run_gives_way(void **state)
{
    (void)state;
    struct file_writer w;
    char leftover[300];
    const char *path = in_folder("killed");
    snprintf(leftover, sizeof leftover, "%s.tmp-%ld", path, (long)getpid());
    put_file(leftover, "a long leftover", 15);
    assert_int_equal(file_writer_open(path, &w, NULL), PLUMB_OK);
    fputs("new", w.stream);
    assert_int_equal(file_writer_commit(&w, NULL), PLUMB_OK);
    assert_file_holds(path, "new");
}

static void links_and_rights_are_kept(void **state)
{
    (void)state;
    struct file_writer w;
    struct stat st;
    put_file(in_folder("target"), "old", 3);
    assert_int_equal(chmod(in_folder("target"), 0640), 0);
    assert_int_equal(symlink("target", in_folder("link")), 0);
    assert_int_equal(file_writer_open(in_folder("link"), &w, NULL), PLUMB_OK);
    fputs("new", w.stream);
    assert_int_equal(file_writer_commit(&w, NULL), PLUMB_OK);
    assert_file_holds(in_folder("target"), "new");
    assert_int_equal(lstat(in_folder("link"), &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(stat(in_folder("target"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
}

static void a_name_without_a_folder_is_in_this_one(void **state)
{
    (void)state;
    struct file_writer w;
    char before[4096];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(file_writer_open("plain", &w, NULL), PLUMB_OK);
    fputs("x", w.stream);
    assert_int_equal(file_writer_commit(&w, NULL), PLUMB_OK);
    assert_int_equal(chdir(before), 0);
    assert_file_holds(in_folder("plain"), "x");
}

static void an_unwritable_place_is_refused_by_name(void **state)
{
    (void)state;
    struct file_writer w;
    struct plumb_error e;
    assert_int_equal(file_writer_open(in_folder("no/such/file"), &w, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "no/such/file: No such file"));
    file_writer_abandon(&w); /* safe after a failure */
    assert_int_equal(file_writer_open(folder, &w, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "Is a directory"));
    const char *closed = in_folder("closed");
    char path[300];
    snprintf(path, sizeof path, "%s/file", closed);
    assert_int_equal(mkdir(closed, 0500), 0);
    assert_int_equal(chmod(folder, 0755), 0);
    const bool root = geteuid() == 0; /* root may write everywhere: be somebody else */
    if (root)
        assert_int_equal(chmod(closed, 0555) | seteuid(65534), 0);
    int status = file_writer_open(path, &w, &e);
    if (root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(status, PLUMB_INPUT);
    assert_non_null(strstr(e.message, "closed/file: Permission denied"));
}

static void an_output_is_checked_without_a_trace(void **state)
{
    (void)state;
    struct plumb_error e;
    assert_int_equal(file_check_output(NULL, &e), PLUMB_OK);
    assert_int_equal(file_check_output("/dev/null", &e), PLUMB_OK);
    assert_int_equal(file_check_output("not-there-yet", &e), PLUMB_OK);
    assert_false(file_exists("not-there-yet"));
    assert_int_equal(file_check_output("/", &e), PLUMB_INPUT);
    assert_int_equal(file_check_output("no-such-folder/file", &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "no-such-folder/file"));
    assert_nothing_temporary();
}

static void a_full_device_is_reported_by_the_commit(void **state)
{
    (void)state;
    struct file_writer w;
    struct plumb_error e;
    struct stat st;
    if (stat("/dev/full", &st) != 0) {
        print_message("skipped: this system has no /dev/full\n");
        skip();
    }
    for (size_t n = 1; n <= 100000; n *= 10) { /* within the stream's buffer, and beyond */
        assert_int_equal(file_writer_open("/dev/full", &w, &e), PLUMB_OK);
        for (size_t i = 0; i < n; i++)
            fputc('x', w.stream);
        assert_int_equal(file_writer_commit(&w, &e), PLUMB_MACHINE);
        assert_non_null(strstr(e.message, "/dev/full"));
    }
    assert_int_equal(stat("/dev/full", &st), 0);
    assert_true(S_ISCHR(st.st_mode)); /* written as it is, not replaced */
}

/* A limit on file sizes stands for a full disk: a write fails in the middle. */
static void a_write_that_fails_leaves_the_old_file(void **state)
{
    (void)state;
    struct file_writer w;
    struct plumb_error e;
    struct rlimit before, low;
    const char *path = in_folder("limited");
    put_file(path, "old", 3);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    low = before;
    low.rlim_cur = 10000;
    for (int large = 0; large < 2; large++) {
        /* Noticed by the last flush, or by a write long before the commit. */
        size_t n = large ? 200000 : 10001;
        void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(file_writer_open(path, &w, &e), PLUMB_OK);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
        for (size_t i = 0; i < n; i++)
            fputc('x', w.stream);
        int status = file_writer_commit(&w, &e);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        signal(SIGXFSZ, handler);
        assert_int_equal(status, PLUMB_MACHINE);
        assert_non_null(strstr(e.message, "limited: File too large"));
        assert_file_holds(path, "old");
        assert_nothing_temporary();
    }
}

static void a_write_that_failed_for_a_while_is_not_forgotten(void **state)
{
    (void)state;
    struct file_writer w;
    struct plumb_error e;
    struct rlimit before, low;
    const char *path = in_folder("for a while");
    put_file(path, "old", 3);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    low = before;
    low.rlim_cur = 10;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(file_writer_open(path, &w, &e), PLUMB_OK);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    for (size_t i = 0; i < 20; i++)
        fputc('x', w.stream);
    fflush(w.stream);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    fputs("there is room again", w.stream);
    assert_int_equal(file_writer_commit(&w, &e), PLUMB_MACHINE);
    assert_file_holds(path, "old");
    assert_nothing_temporary();
}

static void no_memory_is_reported_and_leaves_nothing(void **state)
{
    (void)state;
    struct plumb_error e;
    struct file_writer w;
    int failures = 0;
    const char *path = in_folder("memory");
    for (long n = 1; n <= 8; n++) {
        mem_fail_after(n);
        int status = file_writer_open(path, &w, &e);
        if (status == PLUMB_OK) {
            fputs("x", w.stream);
            status = file_writer_commit(
                &w, &e); /* syncing the folder may fail for memory; the file is there */
            assert_int_equal(status, PLUMB_OK);
        } else {
            failures++;
            assert_int_equal(status, PLUMB_MACHINE);
        }
        mem_fail_after(0);
        assert_nothing_temporary();
    }
    assert_int_equal(failures, 2);
    assert_file_holds(path, "x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_mapped_as_it_is),
        cmocka_unit_test(an_empty_file_is_an_empty_string),
        cmocka_unit_test(what_cannot_be_mapped_is_named),
        cmocka_unit_test(names_join_and_split),
        cmocka_unit_test(existing_and_folder_are_told_apart),
        cmocka_unit_test(a_folder_lists_in_order),
        cmocka_unit_test(a_file_appears_whole_at_the_commit),
        cmocka_unit_test(an_abandoned_file_leaves_nothing_and_touches_nothing),
        cmocka_unit_test(the_leftover_of_a_killed_run_gives_way),
        cmocka_unit_test(links_and_rights_are_kept),
        cmocka_unit_test(a_name_without_a_folder_is_in_this_one),
        cmocka_unit_test(an_unwritable_place_is_refused_by_name),
        cmocka_unit_test(an_output_is_checked_without_a_trace),
        cmocka_unit_test(a_full_device_is_reported_by_the_commit),
        cmocka_unit_test(a_write_that_fails_leaves_the_old_file),
        cmocka_unit_test(a_write_that_failed_for_a_while_is_not_forgotten),
        cmocka_unit_test(no_memory_is_reported_and_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
