#include <math.h>

#include "CKernels.h"
#include "Inner.h"

// The GELU of GPT-2: x sigma(2 sqrt(2/pi) (x + 0.044715 x^3)).
#define GELU_A 1.5957691216057308f
#define GELU_B 0.044715f

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

INNER void moments(const float *x, size_t n, float epsilon, float *mean, float *factor) {
  LANES
  float sum = 0, squares = 0;
  for (size_t i = 0; i < n; i++) sum += x[i];
  float m = sum / (float)n;
  for (size_t i = 0; i < n; i++) squares += (x[i] - m) * (x[i] - m);
  *mean = m;
  *factor = 1.0f / sqrtf(squares / (float)n + epsilon);
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

DISPATCHED void prn_gelu_tanh_gradient(const float *x, const float *dy, float *dx, size_t n) {
  for (size_t i = 0; i < n; i++) {
    float a = x[i], s = sigmoid(GELU_A * (a + GELU_B * a * a * a));
    dx[i] = dy[i] * (s + a * s * (1.0f - s) * GELU_A * (1.0f + 3.0f * GELU_B * a * a));
  }
}

DISPATCHED void prn_rotate_neighbours(float *x, size_t pairs, const float *cosine, const float *sine, float direction) {
  for (size_t i = 0; i < pairs; i++) {
    float a = x[2 * i], b = x[2 * i + 1], c = cosine[i], s = sine[i] * direction;
    x[2 * i] = a * c - b * s;
    x[2 * i + 1] = b * c + a * s;
  }
}

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

DISPATCHED void prn_exponential(float *x, size_t n, float shift, float factor) {
  for (size_t i = 0; i < n; i++) x[i] = exponential(x[i] - shift) * factor;
}

DISPATCHED int prn_all_finite(const float *x, size_t n) {
  int bad = 0;
  for (size_t i = 0; i < n; i++) {
    union { float number; uint32_t word; } v = {.number = x[i]};
    bad |= (v.word & 0x7F800000u) == 0x7F800000u;
  }
  return !bad;
}
