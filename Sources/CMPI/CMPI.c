#include "CMPI.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// What is used of Open MPI's binary interface, the same from version 2 to 5 (libmpi.so.40): communicators, types and error
// handlers are addresses of structures that the library exports, and a status begins with the rank a message came from.
typedef struct {
  int source;
  char rest[124];
} Status;

enum { any_source = -1, funneled = 1, notice_tag = 1 };

static struct {
  int (*Init_thread)(int *, char ***, int, int *);
  int (*Comm_rank)(void *, int *);
  int (*Comm_size)(void *, int *);
  int (*Comm_set_errhandler)(void *, void *);
  int (*Ibcast)(void *, int, void *, int, void *, void **);
  int (*Test)(void **, int *, Status *);
  int (*Isend)(const void *, int, void *, int, int, void *, void **);
  int (*Iprobe)(int, int, void *, int *, Status *);
  int (*Recv)(void *, int, void *, int, int, void *, Status *);
  int (*Error_string)(int, char *, int *);
  int (*Finalize)(void);
  void *world, *byte, *errors_return;
} mpi;

static void *request;
/// At the broadcast that is under way.
static int looks;
static char sent[prn_mpi_notice_bytes];

int prn_mpi_load(const char *library, char *reason, size_t size) {
  dlerror();
  // Global: Open MPI loads parts of itself that look for its names.
  void *handle = dlopen(library, RTLD_NOW | RTLD_GLOBAL);
  if (!handle) {
    const char *error = dlerror();
    snprintf(reason, size, "%s", error ? error : "it cannot be loaded");
    return prn_mpi_missing;
  }
  const struct {
    const char *name;
    void **place;
  } names[] = {
      {"ompi_mpi_comm_world", &mpi.world},
      {"ompi_mpi_byte", &mpi.byte},
      {"ompi_mpi_errors_return", &mpi.errors_return},
      {"MPI_Init_thread", (void **)&mpi.Init_thread},
      {"MPI_Comm_rank", (void **)&mpi.Comm_rank},
      {"MPI_Comm_size", (void **)&mpi.Comm_size},
      {"MPI_Comm_set_errhandler", (void **)&mpi.Comm_set_errhandler},
      {"MPI_Ibcast", (void **)&mpi.Ibcast},
      {"MPI_Test", (void **)&mpi.Test},
      {"MPI_Isend", (void **)&mpi.Isend},
      {"MPI_Iprobe", (void **)&mpi.Iprobe},
      {"MPI_Recv", (void **)&mpi.Recv},
      {"MPI_Error_string", (void **)&mpi.Error_string},
      {"MPI_Finalize", (void **)&mpi.Finalize},
  };
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    *names[i].place = dlsym(handle, names[i].name);
    if (*names[i].place) continue;
    snprintf(reason, size, "%s", names[i].name);
    dlclose(handle);
    return prn_mpi_foreign;
  }
  return prn_mpi_loaded;
}

int prn_mpi_begin(int *rank, int *size) {
  int provided;
  int code = mpi.Init_thread(NULL, NULL, funneled, &provided);
  if (!code) code = mpi.Comm_set_errhandler(mpi.world, mpi.errors_return);
  if (!code) code = mpi.Comm_rank(mpi.world, rank);
  if (!code) code = mpi.Comm_size(mpi.world, size);
  return code;
}

int prn_mpi_broadcast(void *bytes, int count, int root) {
  looks = 0;
  return mpi.Ibcast(bytes, count, mpi.byte, root, mpi.world, &request);
}

// A large message needs many looks, one right after the other. Others may need the processor for long: not to yield it, but
// to sleep, is what a busy machine asks for, since who yields comes back after a time slice.
int prn_mpi_wait(int *is_done) {
  enum { busy = 1000, rests = 10, microseconds = 100 };
  Status status;
  for (int rest = 0; rest < rests;) {
    int code = mpi.Test(&request, is_done, &status);
    if (code || *is_done) return code;
    if (looks < busy) {
      looks++;
    } else {
      usleep(microseconds);
      rest++;
    }
  }
  return 0;
}

int prn_mpi_notify(const char *notice, int rank) {
  void *ignored;
  snprintf(sent, sizeof sent, "%s", notice);
  return mpi.Isend(sent, sizeof sent, mpi.byte, rank, notice_tag, mpi.world, &ignored);
}

int prn_mpi_notice(char *notice, int *source) {
  Status status;
  int has_come = 0;
  *source = -1;
  int code = mpi.Iprobe(any_source, notice_tag, mpi.world, &has_come, &status);
  if (code || !has_come) return code;
  *source = status.source;
  code = mpi.Recv(notice, prn_mpi_notice_bytes, mpi.byte, status.source, notice_tag, mpi.world, &status);
  notice[prn_mpi_notice_bytes - 1] = 0;
  return code;
}

int prn_mpi_end(void) { return mpi.Finalize(); }

void prn_mpi_error(int code, char *text, size_t size) {
  char words[1024] = "";  // MPI_MAX_ERROR_STRING is 256.
  int length = 0;
  if (mpi.Error_string(code, words, &length)) snprintf(words, sizeof words, "error %d", code);
  snprintf(text, size, "%s", words);
}
