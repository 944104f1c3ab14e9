// The elementwise and row-wise inner loops, each compiled for x86-64-v4, -v3 and the baseline and chosen at run time.
// They run on the calling thread; strides are distances between rows in elements; no pointer may be null unless it
// says so. Where in and out have the same type they may be the same memory, otherwise they must not overlap.
#ifndef CKERNELS_H
#define CKERNELS_H
#include <stddef.h>
#include <stdint.h>
#include "Layers.h"

/// Processors the system lets this process use, at least 1.
int prn_available_processors(void);

// Conversions (Conversions.c). Narrowing rounds to nearest even, overflows to infinity and keeps NaN.
void prn_bf16_to_f32(const uint16_t *x, float *y, size_t n);
void prn_f16_to_f32(const uint16_t *x, float *y, size_t n);
void prn_f64_to_f32(const double *x, float *y, size_t n);
void prn_f32_to_f64(const float *x, double *y, size_t n);
void prn_f32_to_bf16(const float *x, uint16_t *y, size_t n);
void prn_f32_to_f16(const float *x, uint16_t *y, size_t n);

// Activations (Activations.c). sigma is the logistic function, silu(x) = x sigma(x).
/// y = exp(x), relative error below 2e-7; x is first limited to [-87, 88].
void prn_exp(const float *x, float *y, size_t n);
void prn_silu(const float *x, float *y, size_t n);
/// y = silu(gate) * up
void prn_silu_times(const float *gate, const float *up, float *y, size_t n);
/// y = x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
void prn_gelu_tanh(const float *x, float *y, size_t n);
/// From dy, the gradient at silu(gate) * up: d_gate = dy up silu'(gate), d_up = dy silu(gate).
void prn_silu_times_backward(const float *gate, const float *up, const float *dy, float *d_gate, float *d_up, size_t n);
/// y += x
void prn_add(const float *x, float *y, size_t n);
/// Every row of x += bias (columns).
void prn_add_bias(float *x, size_t stride, size_t rows, size_t columns, const float *bias);

// Rows (Rows.c).
/// y = weight * x / sqrt(mean(x^2) + eps), per row. inverse_rms (rows) may be null.
void prn_rms_norm(const float *x, size_t x_stride, const float *weight, float *y, size_t y_stride, size_t rows,
                  size_t columns, float eps, float *inverse_rms);
/// y = weight * (x - mean) / sqrt(variance + eps) + bias, per row.
void prn_layer_norm(const float *x, size_t x_stride, const float *weight, const float *bias, float *y, size_t y_stride,
                    size_t rows, size_t columns, float eps);
/// x = softmax(scale * x) per row, in place. Row i uses its first min(columns, visible + i) elements and sets the rest
/// to zero: visible = position of the first row + 1 for causal attention, columns for none hidden. visible >= 1.
void prn_softmax_rows(float *x, size_t stride, size_t rows, size_t columns, size_t visible, float scale);
/// ds = scale * p * (dp - sum(dp * p)) per row, in place of dp: the gradient at x of prn_softmax_rows.
void prn_softmax_rows_backward(const float *p, size_t p_stride, float *dp, size_t dp_stride, size_t rows,
                               size_t columns, float scale);
/// loss[i] = log(sum(exp(x[i]))) - x[i, target[i]], in double from the row sum on. Targets lie in 0..<columns.
void prn_cross_entropy_rows(const float *x, size_t stride, size_t rows, size_t columns, const int32_t *target,
                            double *loss);
/// Rotates, in each head, element i < rotary/2 with element i + rotary/2 by the angle of row and i, in place:
/// cosine, sine are rows x rotary/2. direction 1, or -1 to rotate back (the gradient).
void prn_rope_half(float *x, size_t stride, size_t rows, size_t heads, size_t head_size, size_t rotary,
                   const float *cosine, const float *sine, float direction);
/// sum[j] += sum over rows of x[., j], squares[j] += sum of x[., j]^2, in double, row after row.
void prn_column_sums(const float *x, size_t stride, size_t rows, size_t columns, double *sum, double *squares);
/// mean[j] and m2[j] = sum over rows of (x[., j] - mean[j])^2, in double and two passes, row after row.
void prn_column_moments(const float *x, size_t stride, size_t rows, size_t columns, double *mean, double *m2);

// Distances between rows (Clusters.c).
/// index[i] = the k of least |x_i - c_k|^2, the lowest of equal ones, and that least value as distance[i].
/// centers is columns x width and holds -2 c, norms (width) holds |c_k|^2; width is a multiple of 16, and what pads it has
/// infinite norms.
void prn_nearest_rows(const float *x, size_t stride, size_t rows, size_t columns, const float *centers,
                      const float *norms, size_t width, int32_t *index, float *distance);
/// distance[i] = |x_i - center|^2
void prn_squared_distances(const float *x, size_t stride, size_t rows, size_t columns, const float *center,
                           float *distance);
#endif
