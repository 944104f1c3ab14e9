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

// factor = 1 / sqrt(variance + epsilon)
INNER void moments(const float *x, size_t n, float epsilon, float *mean, float *factor) {
  LANES
  float sum = 0, squares = 0;
  for (size_t i = 0; i < n; i++) sum += x[i];
  float m = sum / (float)n;
  for (size_t i = 0; i < n; i++) squares += (x[i] - m) * (x[i] - m);
  *mean = m;
  *factor = 1.0f / sqrtf(squares / (float)n + epsilon);
}

DISPATCHED void prn_rms_norm(const float *x, const float *weight, float *y, size_t n, float epsilon) {
  float factor = 1.0f / sqrtf(dot(x, x, n) / (float)n + epsilon);
  for (size_t i = 0; i < n; i++) y[i] = weight[i] * (x[i] * factor);
}

DISPATCHED void prn_rms_norm_gradient(const float *x, const float *w, const float *dy, size_t n, float epsilon,
                                      float *dx) {
  LANES
  float sum = 0, dot = 0;
  for (size_t i = 0; i < n; i++) {
    sum += x[i] * x[i];
    dot += w[i] * dy[i] * x[i];
  }
  float factor = 1.0f / sqrtf(sum / (float)n + epsilon);
  float along = dot / (float)n * factor * factor * factor;
  for (size_t i = 0; i < n; i++) dx[i] += w[i] * dy[i] * factor - x[i] * along;
}

DISPATCHED void prn_layer_norm(const float *x, const float *weight, const float *bias, float *y, size_t n,
                               float epsilon) {
  float mean, factor;
  moments(x, n, epsilon, &mean, &factor);
  for (size_t i = 0; i < n; i++) y[i] = weight[i] * ((x[i] - mean) * factor) + bias[i];
}

DISPATCHED void prn_layer_norm_gradient(const float *x, const float *w, const float *dy, size_t n, float epsilon,
                                        float *dx) {
  LANES
  float mean, factor;
  moments(x, n, epsilon, &mean, &factor);
  float sum = 0, dot = 0;
  for (size_t i = 0; i < n; i++) {
    sum += w[i] * dy[i];
    dot += w[i] * dy[i] * (x[i] - mean) * factor;
  }
  float level = sum / (float)n, along = dot / (float)n;
  for (size_t i = 0; i < n; i++) dx[i] += (w[i] * dy[i] - level - (x[i] - mean) * factor * along) * factor;
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

DISPATCHED void prn_softmax_rows_gradient(const float *p, size_t p_stride, float *dp, size_t dp_stride, size_t rows,
                                          size_t columns, float scale) {
  for (size_t i = 0; i < rows; i++, p += p_stride, dp += dp_stride) {
    float mean = dot(p, dp, columns);
    for (size_t j = 0; j < columns; j++) dp[j] = scale * p[j] * (dp[j] - mean);
  }
}

// Lanes hold at most 32 terms of a block before they go to double: the sum over a vocabulary keeps 1e-7.
DISPATCHED void prn_log_sum_exp(const float *x, size_t n, float *maximum, double *sum) {
  LANES
  if (n == 0) return;
  float old = *maximum, m = largest(x, n);
  if (!(m > old)) m = old;
  double total = *sum > 0 ? *sum * exp((double)old - m) : 0;
  for (size_t start = 0; start < n; start += 512) {
    size_t end = start + 512 < n ? start + 512 : n;
    float part = 0;
    for (size_t i = start; i < end; i++) part += exponential(x[i] - m);
    total += part;
  }
  *maximum = m;
  *sum = total;
}

DISPATCHED void prn_rotate_halves(float *x, size_t pairs, const float *cosine, const float *sine, float direction) {
  float *y = x + pairs;
#pragma clang loop vectorize(assume_safety)
  for (size_t i = 0; i < pairs; i++) {
    float a = x[i], b = y[i], c = cosine[i], s = direction * sine[i];
    x[i] = a * c - b * s;
    y[i] = b * c + a * s;
  }
}

DISPATCHED void prn_rotate_neighbours(float *x, size_t pairs, const float *cosine, const float *sine, float direction) {
  for (size_t i = 0; i < pairs; i++) {
    float a = x[2 * i], b = x[2 * i + 1], c = cosine[i], s = sine[i] * direction;
    x[2 * i] = a * c - b * s;
    x[2 * i + 1] = b * c + a * s;
  }
}

DISPATCHED int prn_all_finite(const float *x, size_t n) {
  int bad = 0;
  for (size_t i = 0; i < n; i++) bad |= (bits(x[i]) & 0x7f800000) == 0x7f800000;
  return !bad;
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
