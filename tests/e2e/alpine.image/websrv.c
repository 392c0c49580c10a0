/* A small web server in the manner of nginx: a configuration file, a pid file, a cache, a library of its own. */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

const char *greeting(void);

static const char *CONFIG = "/etc/websrv/websrv.conf";
static const char *PID = "/run/websrv/websrv.pid";
static const char *CACHE = "/var/cache/websrv";

static void stop(int signal) {
    (void)signal;
    unlink(PID);
    _exit(0);
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

int main(void) {
    int port = 0;
    FILE *config = fopen(CONFIG, "r");
    if (!config || fscanf(config, "listen %d", &port) != 1) die(CONFIG);
    fclose(config);
    FILE *pid = fopen(PID, "w");
    if (!pid) die(PID);
    fprintf(pid, "%d\n", (int)getpid());
    fclose(pid);
    char name[64];
    snprintf(name, sizeof name, "%s/started", CACHE);
    FILE *cache = fopen(name, "w");
    if (!cache) die(name);
    fclose(cache);

    signal(SIGTERM, stop);
    signal(SIGPIPE, SIG_IGN);
    int server = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(server, (struct sockaddr *)&address, sizeof address) || listen(server, 16)) die("listen");
    for (;;) {
        int client = accept(server, NULL, NULL);
        if (client < 0) continue;
        char request[4096], answer[256];
        if (read(client, request, sizeof request) > 0) {
            const char *body = greeting();
            int length = snprintf(answer, sizeof answer,
                                  "HTTP/1.0 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
            if (write(client, answer, length) < 0) perror("write");
        }
        close(client);
    }
}
