// What a step of a test does: orders as arguments, separated by ";". Linked statically, it is all that an image needs.
// An order that fails says so on stdout and lets the next one follow, unless it is "must".

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static int must;

static int number(const char *text) { return (int)strtol(text, NULL, 0); }

static void said(const char *order, const char *what, long result) {
    if (result < 0) {
        printf("%s %s: %s\n", order, what, strerror(errno));
        if (must) exit(1);
    }
}

static int put(const char *path, const char *text, int flags) {
    int file = open(path, O_WRONLY | O_CREAT | flags, 0666);
    if (file < 0) return -1;
    int written = (int)write(file, text, strlen(text));
    close(file);
    return written;
}

// As a package manager does: `TOOL VERB WORD...` makes a file /TOOL-WORD for each word that is no option.
static void install(int given, char **words) {
    char path[4096];
    for (int at = 2; at <= given; at++) {
        snprintf(path, sizeof path, "/%s-%s", words[0], words[at]);
        if (words[at][0] != '-') put(path, "installed", O_TRUNC);
    }
}

// `rm -rf` of what is not there, which is all that a test needs.
static void remove_nothing(const char *path) {
    if (!access(path, F_OK)) said("rm", path, -1);
}

// What is another in each run: the time.
static int noise(const char *path) {
    char text[64];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(text, sizeof text, "%ld.%09ld\n", now.tv_sec, now.tv_nsec);
    return put(path, text, O_TRUNC);
}

// Bytecode of Python: with time and size of the source, or with its hash.
static int bytecode(const char *path, const char *source) {
    struct stat s = {0};
    unsigned header[4] = {0x0a0d0da7, 1, 0x12345678, 0x9abcdef0};
    if (strcmp(source, "hash")) {
        if (stat(source, &s) < 0) return -1;
        header[1] = 0;
        header[2] = (unsigned)s.st_mtime;
        header[3] = (unsigned)s.st_size;
    }
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (file < 0) return -1;
    int written = (int)write(file, header, sizeof header);
    close(file);
    return written;
}

static struct winsize window(void) {
    struct winsize size = {0};
    ioctl(0, TIOCGWINSZ, &size);
    return size;
}

static int show(const char *path) {
    char buffer[4096];
    int file = open(path, O_RDONLY);
    if (file < 0) return -1;
    ssize_t n;
    while ((n = read(file, buffer, sizeof buffer)) > 0) fwrite(buffer, 1, (size_t)n, stdout);
    close(file);
    return n < 0 ? -1 : 0;
}

// As cp -a: with owner and mode.
static int copy(const char *from, const char *to) {
    struct stat s;
    char buffer[4096];
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (in < 0 || out < 0 || fstat(in, &s) < 0) return -1;
    ssize_t n;
    while ((n = read(in, buffer, sizeof buffer)) > 0)
        if (write(out, buffer, (size_t)n) != n) return -1;
    if (fchown(out, s.st_uid, s.st_gid) < 0 || fchmod(out, s.st_mode & 07777) < 0) return -1;
    close(in);
    close(out);
    return 0;
}

static int compare(const void *a, const void *b) { return strcmp(*(char **)a, *(char **)b); }

static int list(const char *path) {
    char *names[1000];
    size_t count = 0;
    DIR *directory = opendir(path);
    if (!directory) return -1;
    for (struct dirent *entry; (entry = readdir(directory)) && count < 1000;)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) names[count++] = strdup(entry->d_name);
    closedir(directory);
    qsort(names, count, sizeof *names, compare);
    for (size_t i = 0; i < count; i++) printf("%s ", names[i]);
    printf("\n");
    return 0;
}

static int status(const char *path) {
    struct stat s;
    if (lstat(path, &s) < 0) return -1;
    printf("%s %o %d:%d", path, s.st_mode, s.st_uid, s.st_gid);
    if (S_ISCHR(s.st_mode) || S_ISBLK(s.st_mode)) printf(" %u,%u", major(s.st_rdev), minor(s.st_rdev));
    printf("\n");
    return 0;
}

// All that is below a directory, but for what is mounted in every step: a line each, with owner, time, and the size or bytes.
static int find(const char *path) {
    char child[4096], text[1000];
    struct stat s;
    DIR *directory = opendir(path);
    if (!directory) return -1;
    for (struct dirent *entry; (entry = readdir(directory));) {
        snprintf(child, sizeof child, "%s/%s", strcmp(path, "/") ? path : "", entry->d_name);
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") || !strcmp(child, "/dev") || !strcmp(child, "/proc") || !strcmp(child, "/sys")) continue;
        if (lstat(child, &s) < 0) return -1;
        printf("%s%s %04o %d:%d %ld", child + 1, S_ISDIR(s.st_mode) ? "/" : "", s.st_mode & 07777, s.st_uid, s.st_gid, (long)s.st_mtime);
        ssize_t n = 0;
        if (S_ISLNK(s.st_mode)) n = readlink(child, text, sizeof text);
        if (S_ISREG(s.st_mode) && s.st_nlink > 1) printf(" in %d places", (int)s.st_nlink);
        if (S_ISREG(s.st_mode) && s.st_size >= (long)sizeof text) printf(" %ld bytes", (long)s.st_size);
        else if (S_ISREG(s.st_mode)) {
            int file = open(child, O_RDONLY);
            n = read(file, text, sizeof text);
            close(file);
        }
        if (n < 0) return -1;
        printf(n > 0 ? " %.*s\n" : "\n", (int)n, text);
        if (S_ISDIR(s.st_mode) && find(child) < 0) return -1;
    }
    closedir(directory);
    return 0;
}

static int reach_path(const char *path) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    strncpy(to.sun_path, path, sizeof to.sun_path - 1);
    return connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&to, sizeof to);
}

static struct sockaddr_un abstract_name(const char *name, socklen_t *length) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path + 1, name, strlen(name));
    *length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
    return address;
}

static int offer_abstract(const char *name) {
    socklen_t length;
    struct sockaddr_un here = abstract_name(name, &length);
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    return bind(s, (struct sockaddr *)&here, length) < 0 ? -1 : listen(s, 1);
}

// Calls that no step may do, with arguments with which none would do anything if it were allowed.
static void forbidden_calls(void) {
#define CALL(name) {#name, SYS_##name, EPERM}
#define ABSENT(name) {#name, SYS_##name, ENOSYS}
    static const struct { const char *name; long number; int error; } calls[] = {
        CALL(acct), CALL(add_key), CALL(adjtimex), CALL(bpf), CALL(clock_adjtime), CALL(clock_settime), CALL(delete_module),
        CALL(fanotify_init), CALL(finit_module), CALL(fsconfig), CALL(fsmount), CALL(fsopen), CALL(fspick),
        CALL(get_mempolicy), CALL(init_module), CALL(kcmp), CALL(kexec_load), CALL(keyctl), CALL(mbind),
        CALL(migrate_pages), CALL(mount), CALL(move_mount), CALL(move_pages), CALL(open_by_handle_at), CALL(open_tree),
        CALL(perf_event_open), CALL(pidfd_getfd), CALL(pivot_root), CALL(process_madvise), CALL(quotactl), CALL(reboot),
        CALL(request_key), CALL(set_mempolicy), CALL(setdomainname), CALL(sethostname), CALL(setns), CALL(settimeofday),
        CALL(swapoff), CALL(swapon), CALL(syslog), CALL(umount2), CALL(unshare), CALL(userfaultfd), CALL(vhangup),
        ABSENT(clone3), ABSENT(io_uring_setup), ABSENT(io_uring_enter), ABSENT(io_uring_register),
    };
    for (size_t at = 0; at < sizeof calls / sizeof *calls; at++) {
        errno = 0;
        long result = syscall(calls[at].number, -1L, -1L, -1L, -1L, -1L, -1L);
        if (result != -1 || errno != calls[at].error) printf("%s: %ld %s\n", calls[at].name, result, strerror(errno));
    }
}

static int reach(const char *address, const char *port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)number(port))};
    inet_pton(AF_INET, address, &to.sin_addr);
    int s = socket(AF_INET, SOCK_STREAM, 0);
    return connect(s, (struct sockaddr *)&to, sizeof to);
}

static int reach_abstract(const char *name) {
    socklen_t length;
    struct sockaddr_un to = abstract_name(name, &length);
    return connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&to, length);
}

// Says something to whoever listens on a socket, and shows the answer.
static int ask(const char *path, const char *text) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    char answer[100];
    strncpy(to.sun_path, path, sizeof to.sun_path - 1);
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(s, (struct sockaddr *)&to, sizeof to) < 0 || write(s, text, strlen(text)) < 0) return -1;
    shutdown(s, SHUT_WR);
    ssize_t n = read(s, answer, sizeof answer - 1);
    if (n < 0) return -1;
    printf("%.*s\n", (int)n, answer);
    return 0;
}

// A process of its own session that writes for ever, past whoever started it.
static int leave_behind(const char *path) {
    pid_t child = fork();
    if (child != 0) return child < 0 ? -1 : 0;
    setsid();
    for (;;) {
        put(path, "x", O_APPEND);
        usleep(1000);
    }
}

// A process whose parent is gone makes a file; this one waits for it.
static int write_orphaned(const char *path) {
    int ends[2];
    if (pipe(ends) < 0) return -1;
    pid_t child = fork();
    if (child < 0) return -1;
    if (child == 0) {
        pid_t parent = getpid();
        if (fork() != 0) exit(0);
        while (getppid() == parent) sched_yield();
        exit(put(path, "x", O_TRUNC) < 0);
    }
    close(ends[1]);
    char end;
    return (int)read(ends[0], &end, 1);
}

// A child is started before this process becomes another user, and makes a file when it has.
static int write_as_before(int user, const char *path) {
    int ends[2], how;
    char end;
    if (pipe(ends) < 0) return -1;
    pid_t child = fork();
    if (child < 0) return -1;
    if (child == 0) {
        close(ends[1]);
        exit(read(ends[0], &end, 1) < 0 || put(path, "x", O_TRUNC) < 0);
    }
    if (setuid((uid_t)user) < 0) return -1;
    close(ends[1]);
    return waitpid(child, &how, 0) < 0 || how ? -1 : 0;
}

// A file that has no name at first, where there can be such a file.
static int name_later(const char *directory, const char *path) {
    char itself[64];
    int file = open(directory, O_WRONLY | O_TMPFILE, 0644);
    if (file < 0) return put(path, "x", O_EXCL);
    if (write(file, "x", 1) < 0) return -1;
    snprintf(itself, sizeof itself, "/proc/self/fd/%d", file);
    return linkat(AT_FDCWD, itself, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
}

// As libraries do that keep paths in a directory, with the call that is left where there is none for it.
static int put_beneath(const char *path) {
    struct { unsigned long long flags, mode, resolve; } how = {O_WRONLY | O_CREAT | O_EXCL, 0644, 0};
    int file = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
    if (file >= 0) return (int)write(file, "x", 1);
    return errno == ENOSYS ? put(path, "x", O_EXCL) : -1;
}

// Another file, whose name is what the kernel says of the first once that is gone.
static int replace(const char *path) {
    char gone[4096];
    snprintf(gone, sizeof gone, "%s (deleted)", path);
    return unlink(path) < 0 ? -1 : put(gone, "x", O_EXCL);
}

// Limits of file locks: none, whatever is set.
static int limit_locks(void) {
    struct rlimit limit = {1, 1};
    if (setrlimit(RLIMIT_LOCKS, &limit) < 0 || getrlimit(RLIMIT_LOCKS, &limit) < 0) return -1;
    if (limit.rlim_cur < RLIM_INFINITY && limit.rlim_cur != 1) printf("a limit of %ld\n", (long)limit.rlim_cur);
    return 0;
}

static int limit_files(int process) {
    struct rlimit limit = {0, 4096};
    return prlimit(process, RLIMIT_NOFILE, &limit, NULL);
}

// Makes devices, and as soon as one is there, puts a link in its place that leads to `path` of the machine by a descriptor of
// the first process: whoever made it may do something more by its name.
static int swap_devices(const char *path) {
    char link_to[4096], name[32];
    mkdir("/swap", 0777);
    for (int fd = 3; fd < 20; fd++) {
        snprintf(link_to, sizeof link_to, "/proc/1/fd/%d/../../../../../../../../../../../../..%s", fd, path);
        snprintf(name, sizeof name, "/swap/%d", fd);
        if (symlink(link_to, name) < 0) return -1;
    }
    pid_t child = fork();
    if (child < 0) return -1;
    for (int fd = 3; child == 0; fd = fd == 19 ? 3 : fd + 1) {
        snprintf(name, sizeof name, "/swap/%d", fd);
        link(name, "/swap/next");
        while (access("/swap/device", F_OK) < 0);
        rename("/swap/next", "/swap/device");
    }
    for (int times = 0; times < 3000; times++) {
        unlink("/swap/device");
        mknod("/swap/device", S_IFCHR | 0777, makedev(1, 3));
    }
    kill(child, SIGKILL);
    return waitpid(child, NULL, 0) < 0 ? -1 : 0;
}

static int groups(void) {
    gid_t groups[100];
    int count = getgroups(100, groups);
    for (int i = 0; i < count; i++) printf("%d ", groups[i]);
    if (count >= 0) printf("in %d groups\n", count);
    return count;
}

static int fill(const char *path, int megabytes) {
    static char block[1 << 20];
    memset(block, 'x', sizeof block);
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (file < 0) return -1;
    for (int i = 0; i < megabytes; i++)
        if (write(file, block, sizeof block) != sizeof block) return -1;
    return close(file);
}

static int hog(int megabytes) {
    for (int i = 0; i < megabytes; i++) {
        char *block = malloc(1 << 20);
        if (!block) return -1;
        memset(block, i + 1, 1 << 20);
    }
    return 0;
}

static int resize(const char *path, const char *bytes) {
    int file = open(path, O_WRONLY | O_CREAT, 0666);
    if (file < 0) return -1;
    int result = ftruncate(file, strtoll(bytes, NULL, 0));
    close(file);
    return result;
}

static void fork_all(void) {
    long count = 0;
    for (; count < 100000; count++) {
        pid_t child = fork();
        if (child < 0) break;
        if (child == 0) for (;;) pause();
    }
    printf("forked %s\n", count < 100000 ? "until refused" : "without end");
}

#define ORDER(name, count) (!strcmp(order, name) && given == count)

static void obey(int given, char **a) {
    const char *order = a[0], *path = given > 0 ? a[1] : "";
    struct utsname system;
    cpu_set_t cpus;
    if (ORDER("must", 0)) must = 1;
    else if (ORDER("say", 1)) printf("%s\n", path);
    else if (ORDER("write", 2)) said(order, path, put(path, a[2], O_TRUNC));
    else if (ORDER("append", 2)) said(order, path, put(path, a[2], O_APPEND));
    else if (ORDER("window", 0)) {
        int terminal = open("/dev/tty", O_RDWR);
        printf("terminal %d of its own %d, %d rows, %d columns\n", isatty(0), terminal >= 0, window().ws_row, window().ws_col);
    } else if (ORDER("until", 1)) {
        while (window().ws_row != number(path)) usleep(1000);
    } else if (ORDER("tell", 1)) fprintf(stderr, "%s\n", path);
    else if (ORDER("noise", 1)) said(order, path, noise(path));
    else if (ORDER("pyc", 2)) said(order, path, bytecode(path, a[2]));
    else if (ORDER("mkdir", 1)) said(order, path, mkdir(path, 0777));
    else if (ORDER("rmdir", 1)) said(order, path, rmdir(path));
    else if (ORDER("rm", 1)) said(order, path, unlink(path));
    else if (ORDER("cp", 2)) said(order, path, copy(path, a[2]));
    else if (ORDER("ask", 2)) said(order, path, ask(path, a[2]));
    else if (ORDER("getenv", 1)) printf("%s=%s\n", path, getenv(path) ? getenv(path) : "(none)");
    else if (ORDER("mv", 2)) said(order, path, rename(path, a[2]));
    else if (ORDER("ln", 2)) said(order, path, link(path, a[2]));
    else if (ORDER("symlink", 2)) said(order, path, symlink(path, a[2]));
    else if (ORDER("chmod", 2)) said(order, path, chmod(path, (mode_t)number(a[2])));
    else if (ORDER("chown", 3)) said(order, path, chown(path, (uid_t)number(a[2]), (gid_t)number(a[3])));
    else if (ORDER("lchown", 3)) said(order, path, lchown(path, (uid_t)number(a[2]), (gid_t)number(a[3])));
    else if (ORDER("fchown", 3)) {
        int file = open(path, O_RDONLY);
        said(order, path, fchown(file, (uid_t)number(a[2]), (gid_t)number(a[3])));
        close(file);
    } else if (ORDER("mknod", 4))
        said(order, path, mknod(path, (*a[2] == 'c' ? S_IFCHR : S_IFBLK) | 0660, makedev((unsigned)number(a[3]), (unsigned)number(a[4]))));
    else if (ORDER("mkfifo", 1)) said(order, path, mkfifo(path, 0600));
    else if (ORDER("xattr", 3)) said(order, path, setxattr(path, a[2], a[3], strlen(a[3]), 0));
    else if (ORDER("touch", 2)) {
        struct timespec times[2] = {{.tv_sec = number(a[2])}, {.tv_sec = number(a[2])}};
        said(order, path, utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW));
    } else if (ORDER("chroot", 1)) said(order, path, chroot(path));
    else if (ORDER("cd", 1)) said(order, path, chdir(path));
    else if (ORDER("deep", 1)) {
        for (int level = number(path); level > 0; level--) {
            said(order, "mkdir", mkdir("d", 0777));
            said(order, "chdir", chdir("d"));
        }
    } else if (ORDER("pwd", 0)) printf("%s\n", getcwd(NULL, 0));
    else if (ORDER("stat", 1)) said(order, path, status(path));
    else if (ORDER("cat", 1)) said(order, path, show(path));
    else if (ORDER("ls", 1)) said(order, path, list(path));
    else if (ORDER("find", 1)) said(order, path, find(path));
    else if (ORDER("id", 0)) printf("%d %d %d %d\n", getuid(), geteuid(), getgid(), getegid());
    else if (ORDER("fill", 2)) said(order, path, fill(path, number(a[2])));
    else if (ORDER("size", 2)) said(order, path, resize(path, a[2]));
    else if (ORDER("hog", 1)) said(order, path, hog(number(path)));
    else if (ORDER("groups", 0)) said(order, "all", groups());
    else if (ORDER("orphan", 1)) said(order, path, write_orphaned(path));
    else if (ORDER("before", 2)) said(order, a[2], write_as_before(number(path), a[2]));
    else if (ORDER("tmpfile", 2)) said(order, a[2], name_later(path, a[2]));
    else if (ORDER("beneath", 1)) said(order, path, put_beneath(path));
    else if (ORDER("replace", 1)) said(order, path, replace(path));
    else if (ORDER("locks", 0)) said(order, "all", limit_locks());
    else if (ORDER("limit", 1)) said(order, path, limit_files(number(path)));
    else if (ORDER("swap", 1)) said(order, path, swap_devices(path));
    else if (ORDER("hold", 2)) said(order, path, dup2(open(a[2], O_RDONLY), number(path)));
    else if (ORDER("setuid", 1)) said(order, path, setuid((uid_t)number(path)));
    else if (ORDER("setgid", 1)) said(order, path, setgid((gid_t)number(path)));
    else if (ORDER("env", 0)) for (char **e = environ; *e; e++) printf("%s\n", *e);
    else if (ORDER("fds", 0)) {
        for (int fd = 0; fd < 1024; fd++) if (fcntl(fd, F_GETFD) >= 0) printf("fd %d\n", fd);
    } else if (ORDER("system", 0)) {
        uname(&system);
        sched_getaffinity(0, sizeof cpus, &cpus);
        mode_t mask = umask(0);
        umask(mask);
        printf("%s cpus %d online %ld umask %o stack %p pid %d\n", system.nodename, CPU_COUNT(&cpus), sysconf(_SC_NPROCESSORS_ONLN), mask, (void *)&mask, getpid());
    } else if (ORDER("connect", 2)) said(order, path, reach(path, a[2]));
    else if (ORDER("abstract", 1)) said(order, path, reach_abstract(path));
    else if (ORDER("offer", 1)) said(order, path, offer_abstract(path));
    else if (ORDER("unix", 1)) said(order, path, reach_path(path));
    else if (ORDER("await", 1)) while (access(path, F_OK) < 0) usleep(1000);
    else if (ORDER("trace", 1)) said(order, path, ptrace(PTRACE_ATTACH, number(path), 0, 0));
    else if (ORDER("calls", 0)) forbidden_calls();
#ifdef __x86_64__
    else if (ORDER("foreign", 0)) __asm__ volatile("int $0x80" : : "a"(20) : "memory");
#endif
    else if (ORDER("mount", 1)) said(order, path, mount("none", path, "tmpfs", 0, NULL));
    else if (ORDER("unshare", 0)) said(order, "user", unshare(CLONE_NEWUSER));
    else if (ORDER("vsock", 0)) said(order, "socket", socket(AF_VSOCK, SOCK_STREAM, 0));
    else if (ORDER("leave", 1)) said(order, path, leave_behind(path));
    else if (ORDER("forkbomb", 0)) fork_all();
    else if (ORDER("killparent", 0)) said(order, "parent", kill(getppid(), SIGKILL));
    else if (ORDER("ignore", 0)) signal(SIGTERM, SIG_IGN);
    else if (ORDER("sleep", 0)) for (;;) pause();
    else if (ORDER("die", 1)) raise(number(path));
    else if (ORDER("exit", 1)) exit(number(path));
    else if (ORDER("rm", 2) && !strcmp(path, "-rf")) remove_nothing(a[2]);
    else if (!strcmp(order, "apt-get") || !strcmp(order, "pip")) install(given, a);
    else {
        printf("no order %s with %d arguments\n", order, given);
        exit(99);
    }
}

static void obey_all(int count, char **words) {
    for (int start = 0; start < count;) {
        int end = start;
        while (end < count && strcmp(words[end], ";") && strcmp(words[end], "&&")) end++;
        if (end > start) obey(end - start - 1, words + start);
        start = end + 1;
    }
}

// Orders as a line of a shell.
static void obey_line(char *line) {
    char *words[1000];
    int count = 0;
    for (char *word = strtok(line, " \n"); word && count < 1000; word = strtok(NULL, " \n")) words[count++] = word;
    obey_all(count, words);
}

// As `sh`, orders come from `-c` or from stdin.
int main(int count, char **arguments) {
    char line[65536];
    setvbuf(stdout, NULL, _IOLBF, 0);
    const char *name = strrchr(arguments[0], '/');
    // As an emulator: before the arguments of the program stand its path and the name by which it was called.
    if (!strncmp(arguments[0], "/proc/self/fd/", 14)) arguments += 2, count -= 2;
    int is_shell = name && !strcmp(name, "/sh");
    if (is_shell && count == 3) obey_line(strncpy(line, arguments[2], sizeof line - 1));
    else if (is_shell) while (fgets(line, sizeof line, stdin)) obey_line(line);
    else obey_all(count - 1, arguments + 1);
    return 0;
}
