#define _GNU_SOURCE
#include "CHDF5.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

ssize_t prn_in_child(
  void (*body)(void *context, int out), void *context, unsigned seconds, void *text, size_t size, bool *is_late) {
  int ends[2];
  *is_late = false;
  // Closed in programs that other threads start meanwhile: the end of the text is seen when the child is gone.
  if (pipe2(ends, O_CLOEXEC) != 0) return -1;
  pid_t child = fork();
  if (child == 0) {
    // Each of them ends the child, whatever the thread that forked blocks or handles: threads of a pool block nearly all.
    const int fatal[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE, SIGTRAP, SIGALRM};
    sigset_t unblocked;
    sigemptyset(&unblocked);
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) {
      signal(fatal[i], SIG_DFL);
      sigaddset(&unblocked, fatal[i]);
    }
    sigprocmask(SIG_UNBLOCK, &unblocked, NULL);
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    alarm(seconds);
    close(ends[0]);
    body(context, ends[1]);
    _exit(0);
  }
  close(ends[1]);
  ssize_t count = -1;
  if (child > 0) {
    do count = read(ends[0], text, size);
    while (count < 0 && errno == EINTR);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    *is_late = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
  }
  close(ends[0]);
  return count;
}
