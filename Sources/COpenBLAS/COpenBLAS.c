#include "COpenBLAS.h"

// Exported but undocumented names of OpenBLAS: weak, so that another BLAS still links and the switch is then refused.
extern void gotoblas_dynamic_init(void) __attribute__((weak));
extern void gotoblas_dynamic_quit(void) __attribute__((weak));

int prn_blas_core(const char *core) {
  if (!gotoblas_dynamic_init || !gotoblas_dynamic_quit) return 0;
  if (core) setenv("OPENBLAS_CORETYPE", core, 1);
  else unsetenv("OPENBLAS_CORETYPE");
  gotoblas_dynamic_quit();
  gotoblas_dynamic_init();
  return 1;
}

int prn_processor_level(void) {
#if defined(__x86_64__)
  int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  int avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512cd");
  if (avx512 && __builtin_cpu_supports("avx512bf16")) return PRN_PROCESSOR_BF16;
  if (avx512) return PRN_PROCESSOR_AVX512;
  if (avx2) return PRN_PROCESSOR_AVX2;
  if (__builtin_cpu_supports("avx")) return PRN_PROCESSOR_AVX;
#endif
  return PRN_PROCESSOR_SSE2;
}

int prn_processor_has_fma4(void) {
#if defined(__x86_64__)
  return __builtin_cpu_supports("fma4") != 0;
#else
  return 0;
#endif
}
