#ifndef PRN_CMPI_H
#define PRN_CMPI_H
#include <stddef.h>

// Messages between processes by Open MPI, which is loaded when it is asked for: nothing links it. All calls come from one
// thread. Those that return `int` give 0, or an error of MPI that `prn_mpi_error` puts into words.

enum { prn_mpi_loaded = 0, prn_mpi_missing = 1, prn_mpi_foreign = 2 };

/// The bytes of every notice.
enum { prn_mpi_notice_bytes = 512 };

/// `prn_mpi_missing` when there is no such library, `prn_mpi_foreign` when it is another MPI than Open MPI; then `reason`
/// says more.
int prn_mpi_load(const char *library, char *reason, size_t size);
int prn_mpi_begin(int *rank, int *size);
/// Starts to give all ranks the bytes of `root`; one broadcast at a time.
int prn_mpi_broadcast(void *bytes, int count, int root);
/// Waits for the broadcast, a millisecond or two at most; first busily, then with rests.
int prn_mpi_wait(int *is_done);
/// Sends a notice, and does not wait until it is read.
int prn_mpi_notify(const char *notice, int rank);
/// Takes a notice that has come; `*source` is -1 when there is none.
int prn_mpi_notice(char *notice, int *source);
/// Returns when all ranks call it.
int prn_mpi_end(void);
void prn_mpi_error(int code, char *text, size_t size);
#endif
