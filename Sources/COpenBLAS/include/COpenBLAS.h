#ifndef COPENBLAS_H
#define COPENBLAS_H
#include <cblas.h>
#include <lapacke.h>
#include <stdlib.h>

/// What the processor can run, in the order of OpenBLAS's kernel families.
enum prn_processor {
  PRN_PROCESSOR_SSE2 = 0, PRN_PROCESSOR_AVX = 1, PRN_PROCESSOR_AVX2 = 2, PRN_PROCESSOR_AVX512 = 3, PRN_PROCESSOR_BF16 = 4,
};
int prn_processor_level(void);

/// 1 when the processor has AMD's FMA4, which the Bulldozer family of kernels needs.
int prn_processor_has_fma4(void);

/// Switches OpenBLAS to the kernels named `core` (NULL: what the processor asks for). Call before any thread uses BLAS.
/// A core that the processor cannot run is not refused here and ends in SIGILL: ask `prn_processor_level` first.
/// Returns 1 when the library could be re-initialised, 0 when it has no such entry points.
int prn_blas_core(const char *core);
#endif
