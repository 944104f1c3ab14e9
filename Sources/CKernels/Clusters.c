#include <math.h>

#include "CKernels.h"
#include "Inner.h"

// `many` rows against all centres, 16 centres at a time; `many` is a constant where this is called.
INNER void nearest(size_t many, const float *x, size_t stride, size_t columns, const float *centers, const float *norms,
                   size_t width, int32_t *index, float *distance) {
  float best[4], square[4];
  int32_t found[4];
  for (size_t r = 0; r < many; r++) best[r] = INFINITY, square[r] = 0, found[r] = 0;
  for (size_t w = 0; w < width; w += 16) {
    float sum[4][16];
    for (size_t r = 0; r < many; r++)
      for (size_t l = 0; l < 16; l++) sum[r][l] = norms[w + l];
    for (size_t j = 0; j < columns; j++) {
      const float *c = centers + j * width + w;
      for (size_t r = 0; r < many; r++) {
        float v = x[r * stride + j];
        for (size_t l = 0; l < 16; l++) sum[r][l] += v * c[l];
      }
    }
    for (size_t r = 0; r < many; r++)
      for (size_t l = 0; l < 16; l++)
        if (sum[r][l] < best[r]) best[r] = sum[r][l], found[r] = (int32_t)(w + l);
  }
  for (size_t r = 0; r < many; r++) {
    LANES
    for (size_t j = 0; j < columns; j++) square[r] += x[r * stride + j] * x[r * stride + j];
    distance[r] = square[r] + best[r] > 0 ? square[r] + best[r] : 0;
    index[r] = found[r];
  }
}

DISPATCHED void prn_nearest_rows(const float *x, size_t stride, size_t rows, size_t columns, const float *centers,
                                 const float *norms, size_t width, int32_t *index, float *distance) {
  size_t i = 0;
  for (; i + 4 <= rows; i += 4) nearest(4, x + i * stride, stride, columns, centers, norms, width, index + i, distance + i);
  for (; i < rows; i++) nearest(1, x + i * stride, stride, columns, centers, norms, width, index + i, distance + i);
}

DISPATCHED void prn_squared_distances(const float *x, size_t stride, size_t rows, size_t columns, const float *center,
                                      float *distance) {
  for (size_t i = 0; i < rows; i++, x += stride) {
    LANES
    float sum = 0;
    for (size_t j = 0; j < columns; j++) sum += (x[j] - center[j]) * (x[j] - center[j]);
    distance[i] = sum;
  }
}
