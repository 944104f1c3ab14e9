#include "CKernels.h"
#include "Inner.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

// To the nearest, ties to even; a NaN stays one.
INNER uint32_t rounded(float x) {
  uint32_t u = bits(x);
  uint32_t nearest = (u + 0x7fff + (u >> 16 & 1)) >> 16;
  return (u & 0x7fffffff) > 0x7f800000 ? u >> 16 | 64 : nearest;
}

DISPATCHED void prn_bfloat_round(const float *x, uint16_t *y, size_t n) {
  for (size_t i = 0; i < n; i++) y[i] = (uint16_t)rounded(x[i]);
}

// Sixteen columns at a time, so that what is read and what is written stay in the nearest cache.
DISPATCHED void prn_bfloat_pack(const float *b, size_t row_stride, size_t column_stride, size_t rows, size_t columns,
                                uint32_t *panel) {
  size_t pairs = (rows + 1) / 2;
  for (size_t left = 0; left < PRN_PANEL; left += 16)
    for (size_t top = 0; top < pairs; top += 16) {
      uint32_t tile[16][16];
      size_t height = pairs - top < 16 ? pairs - top : 16;
      for (size_t j = 0; j < 16; j++) {
        const float *column = b + (left + j) * column_stride;
        for (size_t i = 0; i < height; i++) {
          size_t row = 2 * (top + i);
          float even = left + j < columns ? column[row * row_stride] : 0;
          float odd = left + j < columns && row + 1 < rows ? column[(row + 1) * row_stride] : 0;
          tile[i][j] = rounded(even) | rounded(odd) << 16;
        }
      }
      for (size_t i = 0; i < height; i++) memcpy(panel + (top + i) * PRN_PANEL + left, tile[i], sizeof tile[i]);
    }
}

// `height` rows of a times a panel; every number of c is summed in the order of the rows of b.
DISPATCHED static void portable_tile(const uint16_t *a, size_t a_stride, size_t height, const uint32_t *panel,
                                        size_t pairs, float (*c)[PRN_PANEL]) {
  for (size_t r = 0; r < height; r++) {
    const uint16_t *row = a + r * a_stride;
    for (size_t p = 0; p < pairs; p++) {
      float even = real((uint32_t)row[2 * p] << 16), odd = real((uint32_t)row[2 * p + 1] << 16);
      const uint32_t *pair = panel + p * PRN_PANEL;
      for (size_t j = 0; j < PRN_PANEL; j++) {
        c[r][j] += odd * real(pair[j] & 0xffff0000u);
        c[r][j] += even * real(pair[j] << 16);
      }
    }
  }
}

#if defined(__x86_64__)
#define BFLOAT __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))

// Six rows are as many as 24 of the 32 registers hold.
#define TILE(height)                                                                                       \
  BFLOAT static void tile_##height(const uint16_t *a, size_t a_stride, const uint32_t *panel, size_t pairs, \
                                   float (*c)[PRN_PANEL]) {                                                 \
    __m512 sum[height][4];                                                                                  \
    for (size_t r = 0; r < height; r++)                                                                     \
      for (size_t q = 0; q < 4; q++) sum[r][q] = _mm512_loadu_ps(c[r] + 16 * q);                            \
    for (size_t p = 0; p < pairs; p++, panel += PRN_PANEL) {                                                \
      __m512bh w[4];                                                                                        \
      for (size_t q = 0; q < 4; q++) w[q] = (__m512bh)_mm512_loadu_si512(panel + 16 * q);                   \
      for (size_t r = 0; r < height; r++) {                                                                 \
        uint32_t pair;                                                                                      \
        memcpy(&pair, a + r * a_stride + 2 * p, sizeof pair);                                               \
        __m512bh both = (__m512bh)_mm512_set1_epi32((int)pair);                                             \
        for (size_t q = 0; q < 4; q++) sum[r][q] = _mm512_dpbf16_ps(sum[r][q], both, w[q]);                 \
      }                                                                                                     \
    }                                                                                                       \
    for (size_t r = 0; r < height; r++)                                                                     \
      for (size_t q = 0; q < 4; q++) _mm512_storeu_ps(c[r] + 16 * q, sum[r][q]);                            \
  }
TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6)

static void native_tile(const uint16_t *a, size_t a_stride, size_t height, const uint32_t *panel, size_t pairs,
                 float (*c)[PRN_PANEL]) {
  switch (height) {
    case 1: tile_1(a, a_stride, panel, pairs, c); break;
    case 2: tile_2(a, a_stride, panel, pairs, c); break;
    case 3: tile_3(a, a_stride, panel, pairs, c); break;
    case 4: tile_4(a, a_stride, panel, pairs, c); break;
    case 5: tile_5(a, a_stride, panel, pairs, c); break;
    default: tile_6(a, a_stride, panel, pairs, c);
  }
}
#endif

int prn_has_bfloat(void) {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bf16") != 0;
#else
  return 0;
#endif
}

typedef void tile_product(const uint16_t *, size_t, size_t, const uint32_t *, size_t, float (*)[PRN_PANEL]);

INNER void by_tiles(tile_product *tile, const uint16_t *a, size_t a_stride, size_t rows, const uint32_t *panel,
                    size_t pairs, float *c, size_t c_stride, size_t columns, int adding) {
  for (size_t top = 0; top < rows; top += 6) {
    size_t height = rows - top < 6 ? rows - top : 6;
    float sums[6][PRN_PANEL];
    memset(sums, 0, sizeof sums);
    if (adding)
      for (size_t r = 0; r < height; r++) memcpy(sums[r], c + (top + r) * c_stride, columns * sizeof(float));
    tile(a + top * a_stride, a_stride, height, panel, pairs, sums);
    for (size_t r = 0; r < height; r++) memcpy(c + (top + r) * c_stride, sums[r], columns * sizeof(float));
  }
}

void prn_bfloat_product_portable(const uint16_t *a, size_t a_stride, size_t rows, const uint32_t *panel, size_t pairs,
                                 float *c, size_t c_stride, size_t columns, int adding) {
  by_tiles(portable_tile, a, a_stride, rows, panel, pairs, c, c_stride, columns, adding);
}

void prn_bfloat_product(const uint16_t *a, size_t a_stride, size_t rows, const uint32_t *panel, size_t pairs, float *c,
                        size_t c_stride, size_t columns, int adding) {
#if defined(__x86_64__)
  if (prn_has_bfloat()) {
    by_tiles(native_tile, a, a_stride, rows, panel, pairs, c, c_stride, columns, adding);
    return;
  }
#endif
  prn_bfloat_product_portable(a, a_stride, rows, panel, pairs, c, c_stride, columns, adding);
}
