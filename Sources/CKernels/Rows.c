#include <math.h>

#include "CKernels.h"
#include "Inner.h"

INNER float dot(const float *x, const float *y, size_t n) {
  LANES
  float sum = 0;
  for (size_t j = 0; j < n; j++) sum += x[j] * y[j];
  return sum;
}

INNER float largest(const float *x, size_t n) {
  float lane[16];
  for (size_t l = 0; l < 16; l++) lane[l] = x[0];
  size_t j = 0;
  for (; j + 16 <= n; j += 16)
    for (size_t l = 0; l < 16; l++) lane[l] = lane[l] < x[j + l] ? x[j + l] : lane[l];
  float result = x[0];
  for (size_t l = 0; l < 16; l++) result = result < lane[l] ? lane[l] : result;
  for (; j < n; j++) result = result < x[j] ? x[j] : result;
  return result;
}

DISPATCHED void prn_rms_norm(const float *x, size_t x_stride, const float *weight, float *y, size_t y_stride,
                             size_t rows, size_t columns, float eps, float *inverse_rms) {
  for (size_t i = 0; i < rows; i++, x += x_stride, y += y_stride) {
    float r = 1.0f / sqrtf(dot(x, x, columns) / (float)columns + eps);
    if (inverse_rms) inverse_rms[i] = r;
    for (size_t j = 0; j < columns; j++) y[j] = weight[j] * (x[j] * r);
  }
}

DISPATCHED void prn_layer_norm(const float *x, size_t x_stride, const float *weight, const float *bias, float *y,
                               size_t y_stride, size_t rows, size_t columns, float eps) {
  for (size_t i = 0; i < rows; i++, x += x_stride, y += y_stride) {
    float sum = 0, squares = 0;
    {
      LANES
      for (size_t j = 0; j < columns; j++) sum += x[j];
      float mean = sum / (float)columns;
      for (size_t j = 0; j < columns; j++) squares += (x[j] - mean) * (x[j] - mean);
    }
    float mean = sum / (float)columns;
    float r = 1.0f / sqrtf(squares / (float)columns + eps);
    for (size_t j = 0; j < columns; j++) y[j] = weight[j] * ((x[j] - mean) * r) + bias[j];
  }
}

DISPATCHED void prn_softmax_rows(float *x, size_t stride, size_t rows, size_t columns, size_t visible, float scale) {
  for (size_t i = 0; i < rows; i++, x += stride) {
    size_t n = visible + i < columns ? visible + i : columns;
    for (size_t j = 0; j < n; j++) x[j] *= scale;
    float top = largest(x, n), sum = 0;
    for (size_t j = 0; j < n; j++) x[j] = exponential(x[j] - top);
    {
      LANES
      for (size_t j = 0; j < n; j++) sum += x[j];
    }
    float r = 1.0f / sum;
    for (size_t j = 0; j < n; j++) x[j] *= r;
    for (size_t j = n; j < columns; j++) x[j] = 0;
  }
}

DISPATCHED void prn_softmax_rows_backward(const float *p, size_t p_stride, float *dp, size_t dp_stride, size_t rows,
                                          size_t columns, float scale) {
  for (size_t i = 0; i < rows; i++, p += p_stride, dp += dp_stride) {
    float mean = dot(p, dp, columns);
    for (size_t j = 0; j < columns; j++) dp[j] = scale * p[j] * (dp[j] - mean);
  }
}

// Lanes hold at most 32 terms of a block before they go to double: the sum over a vocabulary keeps 1e-7.
DISPATCHED void prn_cross_entropy_rows(const float *x, size_t stride, size_t rows, size_t columns,
                                       const int32_t *target, double *loss) {
  const size_t block = 512;
  for (size_t i = 0; i < rows; i++, x += stride) {
    float top = largest(x, columns);
    double total = 0;
    for (size_t start = 0; start < columns; start += block) {
      size_t end = start + block < columns ? start + block : columns;
      float sum = 0;
      {
        LANES
        for (size_t j = start; j < end; j++) sum += exponential(x[j] - top);
      }
      total += sum;
    }
    loss[i] = (double)top - (double)x[target[i]] + log(total);
  }
}

DISPATCHED void prn_rope_half(float *x, size_t stride, size_t rows, size_t heads, size_t head_size, size_t rotary,
                              const float *cosine, const float *sine, float direction) {
  size_t half = rotary / 2;
  for (size_t i = 0; i < rows; i++, x += stride, cosine += half, sine += half)
    for (size_t h = 0; h < heads; h++) {
      float *a = x + h * head_size, *b = a + half;
#pragma clang loop vectorize(assume_safety)
      for (size_t j = 0; j < half; j++) {
        float first = a[j], second = b[j], c = cosine[j], s = direction * sine[j];
        a[j] = first * c - second * s;
        b[j] = second * c + first * s;
      }
    }
}

DISPATCHED void prn_column_sums(const float *x, size_t stride, size_t rows, size_t columns, double *sum,
                                double *squares) {
  for (size_t i = 0; i < rows; i++, x += stride)
    for (size_t j = 0; j < columns; j++) {
      double value = x[j];
      sum[j] += value;
      squares[j] += value * value;
    }
}

// Strips of columns narrow enough for both passes to find them in the cache.
DISPATCHED void prn_column_moments(const float *x, size_t stride, size_t rows, size_t columns, double *mean,
                                   double *m2) {
  enum { strip = 64 };
  for (size_t start = 0; start < columns; start += strip) {
    size_t width = start + strip < columns ? strip : columns - start;
    double sum[strip] = {0}, squares[strip] = {0};
    for (size_t i = 0; i < rows; i++)
      for (size_t j = 0; j < width; j++) sum[j] += x[i * stride + start + j];
    for (size_t j = 0; j < width; j++) sum[j] = rows ? sum[j] / (double)rows : 0;
    for (size_t i = 0; i < rows; i++)
      for (size_t j = 0; j < width; j++) {
        double d = x[i * stride + start + j] - sum[j];
        squares[j] += d * d;
      }
    for (size_t j = 0; j < width; j++) mean[start + j] = sum[j], m2[start + j] = squares[j];
  }
}
