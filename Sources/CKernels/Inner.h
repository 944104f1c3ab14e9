#ifndef PRN_INNER_H
#define PRN_INNER_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#define DISPATCHED __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define DISPATCHED
#endif
#define INNER static inline __attribute__((always_inline))

// Sums may be split over lanes. Only around sums: reassociation would undo the rounding in `exponential`.
#define LANES _Pragma("clang fp reassociate(on)")

INNER uint32_t bits(float x) {
  uint32_t u;
  memcpy(&u, &x, sizeof u);
  return u;
}

INNER float real(uint32_t u) {
  float x;
  memcpy(&x, &u, sizeof x);
  return x;
}

// exp(x) = 2^n exp(r), r in [-ln 2 / 2, ln 2 / 2]; the polynomial is Cephes's expf, n is rounded by adding 1.5 2^23.
INNER float exponential(float x) {
  const float magic = 12582912.0f;
  x = x < -87.0f ? -87.0f : x;
  x = x > 88.0f ? 88.0f : x;
  float shifted = x * 1.44269504088896341f + magic;
  float n = shifted - magic;
  float r = x - n * 0.693359375f;
  r = r + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  float y = (p * r * r + r) + 1.0f;
  return real(bits(y) + (bits(shifted) << 23));
}

INNER float sigmoid(float x) { return 1.0f / (1.0f + exponential(-x)); }
#endif
