/* A pod's first process: it holds the pod's network and IPC namespaces while the containers come and go.
 * As process 1 it is given what its children leave, and has to wait for it. */
#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

static void leave(int number) {
    (void)number;
    _exit(0);
}

static void collect_children(int number) {
    (void)number;
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
}

int main(void) {
    signal(SIGTERM, leave);
    signal(SIGINT, leave);
    signal(SIGCHLD, collect_children);
    for (;;) {
        pause();
    }
}
