/* Threads that compute, open files and wait, while the process changes its group (a real-time signal to each thread) and
   others are cancelled (another one). Prints `done` where nothing was disturbed, and waits for its end. Fails at once where it
   gets an argument. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static volatile int stop;
static long bad;

static void *compute(void *arg) {
    (void)arg;
    while (!stop) {
        double a = 0, b = 0;
        for (int i = 1; i < 20000; i++) a += 1.0 / i;
        for (int i = 1; i < 20000; i++) b += 1.0 / i;
        if (a != b) __sync_fetch_and_add(&bad, 1);
    }
    return NULL;
}

static void *open_files(void *arg) {
    (void)arg;
    while (!stop) {
        int file = open("/app/threads", O_RDONLY);
        if (file < 0) __sync_fetch_and_add(&bad, 1);
        else close(file);
    }
    return NULL;
}

static void *wait_a_little(void *arg) {
    (void)arg;
    while (!stop) {
        struct timespec pause = {0, 1000000};
        nanosleep(&pause, NULL);
        poll(NULL, 0, 1);
    }
    return NULL;
}

static void *wait_for_ever(void *arg) {
    (void)arg;
    for (;;) pause();
}

static void end(int signal) {
    (void)signal;
    _exit(0);
}

int main(int argc, char **argv) {
    (void)argv;
    if (argc > 1) return 1;
    void *(*work[])(void *) = {compute, open_files, wait_a_little};
    pthread_t threads[6];
    signal(SIGTERM, end);
    for (int i = 0; i < 6; i++) pthread_create(&threads[i], NULL, work[i % 3], NULL);
    for (int i = 0; i < 20; i++)
        if (setegid(i % 2)) bad++;
    for (int i = 0; i < 5; i++) {
        pthread_t other;
        void *result;
        pthread_create(&other, NULL, wait_for_ever, NULL);
        usleep(2000);
        pthread_cancel(other);
        pthread_join(other, &result);
        if (result != PTHREAD_CANCELED) bad++;
    }
    stop = 1;
    for (int i = 0; i < 6; i++) pthread_join(threads[i], NULL);
    puts(bad ? "disturbed" : "done");
    fflush(stdout);
    for (;;) pause();
}
