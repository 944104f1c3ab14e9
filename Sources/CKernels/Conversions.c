#include "CKernels.h"
#include "Inner.h"

DISPATCHED void prn_bf16_to_f32(const uint16_t *x, float *y, size_t n) {
  for (size_t i = 0; i < n; i++) y[i] = real((uint32_t)x[i] << 16);
}

// The exponent is moved to its place and rebiased by a product with 2^112, which also makes subnormals right.
DISPATCHED void prn_f16_to_f32(const uint16_t *x, float *y, size_t n) {
  for (size_t i = 0; i < n; i++) {
    uint32_t magnitude = (uint32_t)(x[i] & 0x7fff) << 13;
    uint32_t value = bits(real(magnitude) * 0x1p112f);
    value |= magnitude >= 0x0f800000 ? 0x7f800000 : 0;  // infinity and NaN
    y[i] = real(value | (uint32_t)(x[i] & 0x8000) << 16);
  }
}

DISPATCHED void prn_f64_to_f32(const double *x, float *y, size_t n) {
  for (size_t i = 0; i < n; i++) y[i] = (float)x[i];
}

DISPATCHED void prn_f32_to_f64(const float *x, double *y, size_t n) {
  for (size_t i = 0; i < n; i++) y[i] = x[i];
}

DISPATCHED void prn_f32_to_bf16(const float *x, uint16_t *y, size_t n) {
  for (size_t i = 0; i < n; i++) {
    uint32_t u = bits(x[i]);
    uint32_t rounded = (u + 0x7fff + (u >> 16 & 1)) >> 16;
    y[i] = (uint16_t)((u & 0x7fffffff) > 0x7f800000 ? (u >> 16 | 0x40) : rounded);
  }
}

// Three ranges, after Fabian Giesen: normal numbers round in integers; below 2^-14, adding 1/2 lets the processor round
// to the spacing of the subnormals; from 2^16 on there is infinity, or NaN.
DISPATCHED void prn_f32_to_f16(const float *x, uint16_t *y, size_t n) {
  for (size_t i = 0; i < n; i++) {
    uint32_t u = bits(x[i]);
    uint32_t magnitude = u & 0x7fffffff;
    uint32_t normal = (magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13;
    uint32_t subnormal = bits(real(magnitude) + 0.5f) - 0x3f000000;
    uint32_t special = magnitude > 0x7f800000 ? (0x7e00 | (magnitude >> 13 & 0x3ff)) : 0x7c00;
    uint32_t value = magnitude < 0x38800000 ? subnormal : normal;
    value = magnitude >= 0x47800000 ? special : value;
    y[i] = (uint16_t)(value | (u >> 16 & 0x8000));
  }
}
