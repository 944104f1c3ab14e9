#include "CHDF5.h"
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

// Runs in the child: writes the text of a root attribute to `out`.
static void answer(const char *path, const char *name, int out) {
  hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  hid_t attribute = file < 0 ? -1 : H5Aopen(file, name, H5P_DEFAULT);
  hid_t type = attribute < 0 ? -1 : H5Aget_type(attribute);
  if (type < 0 || H5Tget_class(type) != H5T_STRING) return;
  char fixed[256] = {0};
  char *text = fixed;
  if (H5Tis_variable_str(type) > 0) {
    if (H5Aread(attribute, type, &text) < 0 || !text) return;
  } else if (H5Tget_size(type) >= sizeof fixed || H5Aread(attribute, type, fixed) < 0) {
    return;
  }
  ssize_t written = write(out, text, strnlen(text, 255));
  (void)written;
}

ssize_t prn_h5_probe(const char *path, const char *name, char *text, size_t size) {
  int ends[2];
  if (pipe(ends) != 0) return -1;
  pid_t child = fork();
  if (child == 0) {
    const int faults[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) signal(faults[i], SIG_DFL);
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    alarm(5);
    close(ends[0]);
    answer(path, name, ends[1]);
    _exit(0);
  }
  close(ends[1]);
  ssize_t count = child < 0 ? -1 : read(ends[0], text, size);
  close(ends[0]);
  if (child > 0) waitpid(child, NULL, 0);
  return count;
}
