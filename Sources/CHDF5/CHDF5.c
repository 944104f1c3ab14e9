#include "CHDF5.h"
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

ssize_t prn_in_child(void (*body)(void *context, int out), void *context, unsigned seconds, char *text, size_t size) {
  int ends[2];
  if (pipe(ends) != 0) return -1;
  pid_t child = fork();
  if (child == 0) {
    const int faults[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE, SIGTRAP};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) signal(faults[i], SIG_DFL);
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    alarm(seconds);
    close(ends[0]);
    body(context, ends[1]);
    _exit(0);
  }
  close(ends[1]);
  ssize_t count = child < 0 ? -1 : read(ends[0], text, size);
  close(ends[0]);
  if (child > 0) waitpid(child, NULL, 0);
  return count;
}
