#ifndef COPENBLAS_H
#define COPENBLAS_H
#include <cblas.h>
#include <lapacke.h>
#include <stdlib.h>
/// Switches OpenBLAS to the kernels named `core` (NULL: what the processor asks for). Call before any thread uses BLAS.
/// Returns 1 when the library could be re-initialised, 0 when it has no such entry points.
int prn_blas_core(const char *core);
#endif
