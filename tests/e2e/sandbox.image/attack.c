/* What a hostile app tries from inside a sandbox. Prints one line, beginning with `held` where nothing came of it. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

static int escaped;

static void tell(const char *what, const char *with) {
    printf("escaped: %s %s\n", what, with);
    escaped = 1;
}

static void must_fail(const char *what, long result) {
    if (result >= 0) tell(what, "");
}

/* Looks for a file of the machine, on every way that leads up or out. */
static void look_for(const char *secret) {
    static const char *ways[] = {"", "/proc/1/root", "/proc/self/root", "/proc/self/cwd/../../../../..",
                                 "/../../../..", "/up", "/abs", "/dev/fd/3/../../..", NULL};
    char path[4096];
    for (int i = 0; ways[i]; i++) {
        snprintf(path, sizeof path, "%s%s", ways[i], secret);
        /* What the image has of that name is its own. */
        char found[7] = "";
        int fd = open(path, O_RDONLY);
        if (fd >= 0 && read(fd, found, 6) == 6 && !strcmp(found, "secret")) tell("read", path);
        close(fd);
    }
}

static void change(const char *path) {
    int fd = open(path, O_WRONLY);
    if (fd < 0) return;
    /* Writing nothing harmful, where it can be written at all. */
    if (write(fd, "x", 1) > 0) tell("wrote", path);
    close(fd);
}

static int namespaces(const char *secret) {
    must_fail("user namespace", unshare(CLONE_NEWUSER));
    must_fail("mount namespace", unshare(CLONE_NEWNS));
    must_fail("clone3", syscall(SYS_clone3, NULL, 0));
    must_fail("mount", mount("proc", "/mnt", "proc", 0, NULL));
    must_fail("remount", mount(NULL, "/proc/sys", NULL, MS_REMOUNT | MS_BIND, NULL));
    must_fail("umount", umount2("/proc/sys", MNT_DETACH));
    must_fail("pivot_root", syscall(SYS_pivot_root, ".", "."));
    must_fail("bpf", syscall(SYS_bpf, 0, NULL, 0));
    must_fail("keyctl", syscall(SYS_keyctl, 0, 0));
    must_fail("io_uring", syscall(SYS_io_uring_setup, 1, NULL));
    must_fail("open_by_handle_at", syscall(SYS_open_by_handle_at, AT_FDCWD, NULL, 0));
    /* The machine's memory and first disk: the node may be made by nobody, and opened even less. */
    mknod("/memory", S_IFCHR | 0666, makedev(1, 1));
    mknod("/sda", S_IFBLK | 0666, makedev(8, 0));
    mknod("/vda", S_IFBLK | 0666, makedev(254, 0));
    for (const char **path = (const char *[]){"/memory", "/sda", "/vda", "/disk", "/mem", NULL}; *path; path++)
        must_fail("device", open(*path, O_RDONLY));
    /* Out of a chroot within a chroot. */
    int top = open("/", O_RDONLY | O_DIRECTORY);
    if (mkdir("/jail", 0755) == 0 && chroot("/jail") == 0 && fchdir(top) == 0) {
        for (int i = 0; i < 64; i++) chdir("..");
        chroot(".");
    }
    look_for(secret);
    return escaped;
}

static int kernel(void) {
    static const char *paths[] = {"/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger",
                                  "/proc/sys/vm/drop_caches", "/proc/kcore", "/proc/timer_list", "/proc/keys",
                                  "/sys/kernel/uevent_helper", "/sys/power/state", "/dev/mem", "/dev/kmsg", NULL};
    for (int i = 0; paths[i]; i++)
        if (strncmp(paths[i], "/proc/k", 7) && strncmp(paths[i], "/proc/timer", 11)) change(paths[i]);
    /* Covered: nothing is to be read there. */
    char byte;
    int fd = open("/proc/kcore", O_RDONLY);
    if (fd >= 0 && read(fd, &byte, 1) > 0) tell("read", "/proc/kcore");
    return escaped;
}

/* Everybody who can be seen. */
static int others(int victim) {
    must_fail("ptrace of the parent", ptrace(PTRACE_ATTACH, getppid(), 0, 0));
    must_fail("ptrace of a neighbour", ptrace(PTRACE_ATTACH, victim, 0, 0));
    must_fail("signal to a neighbour", kill(victim, SIGKILL));
    if (getppid() > 0) must_fail("signal to the parent", kill(getppid(), SIGKILL));
    kill(-1, SIGKILL);
    DIR *proc = opendir("/proc");
    for (struct dirent *entry; (entry = readdir(proc));)
        if (atoi(entry->d_name) > 1 && atoi(entry->d_name) != getpid()) tell("sees process", entry->d_name);
    return escaped;
}

static int descriptors(void) {
    DIR *list = opendir("/proc/self/fd");
    for (struct dirent *entry; (entry = readdir(list));)
        if (atoi(entry->d_name) > 2 && atoi(entry->d_name) != dirfd(list)) tell("has descriptor", entry->d_name);
    return escaped;
}

/* kiln's own program: what this process was before, and what may be started again from it. */
static int program(void) {
    char target[4096] = "";
    if (readlink("/proc/1/exe", target, sizeof target - 1) > 0 && strstr(target, "kiln")) tell("sees", target);
    if (fork() == 0) {
        execl("/proc/1/exe", "attack", "nothing", NULL);
        _exit(1);
    }
    wait(NULL);
    return escaped;
}

static int loopback(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(80)};
    int server = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(server, (struct sockaddr *)&at, sizeof at) || listen(server, 1)) return perror("bind"), 1;
    if (connect(client, (struct sockaddr *)&at, sizeof at)) return perror("connect"), 1;
    at.sin_addr.s_addr = htonl(0x08080808);
    int outside = socket(AF_INET, SOCK_STREAM, 0);
    must_fail("network", connect(outside, (struct sockaddr *)&at, sizeof at));
    return escaped;
}

/* A descendant that does all it can to stay. */
static int stay(void) {
    for (int i = 0; i < 2; i++)
        if (fork()) break;
    setsid();
    prctl(PR_SET_PDEATHSIG, 0);
    for (int signal = 1; signal < 32; signal++) sigset(signal, SIG_IGN);
    printf("staying\n");
    fflush(stdout);
    for (;;) pause();
}

/* That of who runs kiln: keys could be put into it. */
static int terminal(void) {
    must_fail("terminal", open("/dev/tty", O_RDWR));
    must_fail("terminal on stdin", ioctl(0, TIOCSTI, "x"));
    return escaped;
}

static void end(int signal) {
    (void)signal;
    _exit(7);
}

/* Ends as asked, and not before. */
static int wait_for_end(void) {
    signal(SIGTERM, end);
    for (;;) pause();
}

static void fill(int unlinked) {
    static char block[1 << 20];
    for (int i = 0;; i++) {
        char name[32];
        snprintf(name, sizeof name, "/fill%d", i % 1000);
        int fd = open(name, O_CREAT | O_WRONLY | O_APPEND, 0600);
        if (unlinked) unlink(name);
        for (int j = 0; fd >= 0 && j < 1000; j++) write(fd, block, sizeof block);
        if (!unlinked) close(fd);
    }
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "", *with = argc > 2 ? argv[2] : "";
    int result = 1;
    if (!strcmp(what, "namespaces")) result = namespaces(with);
    else if (!strcmp(what, "kernel")) result = kernel();
    else if (!strcmp(what, "others")) result = others(atoi(with));
    else if (!strcmp(what, "descriptors")) result = descriptors();
    else if (!strcmp(what, "program")) result = program();
    else if (!strcmp(what, "loopback")) result = loopback();
    else if (!strcmp(what, "ids")) return printf("%d %d %d\n", getuid(), geteuid(), getgid()), 0;
    else if (!strcmp(what, "setuid")) return execl("/suid", "/suid", "ids", NULL);
    else if (!strcmp(what, "stay")) return stay();
    else if (!strcmp(what, "terminal")) result = terminal();
    else if (!strcmp(what, "wait")) return wait_for_end();
    else if (!strcmp(what, "fork")) for (;;) fork();
    else if (!strcmp(what, "memory")) for (char *p;;) { if ((p = malloc(1 << 20))) memset(p, 1, 1 << 20); }
    else if (!strcmp(what, "disk")) fill(0);
    else if (!strcmp(what, "unlinked")) fill(1);
    else if (!strcmp(what, "write")) {
        FILE *file = fopen("/etc/new", "w");
        return !file || fputs("x", file) < 0 || fclose(file) || unlink("/etc/gone") || chmod("/etc/kept", 0600)
            || rename("/etc/old", "/etc/moved");
    }
    else if (!strcmp(what, "nothing")) return 0;
    if (!result) printf("held\n");
    return result;
}
