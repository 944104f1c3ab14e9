// The elementwise and row-wise inner loops, each compiled for x86-64-v4, -v3 and the baseline and chosen at run time.
// They run on the calling thread; strides are distances between rows in elements; no pointer may be null. Where in and
// out have the same type they may be the same memory, otherwise they must not overlap.
#ifndef CKERNELS_H
#define CKERNELS_H
#include <stddef.h>
#include <stdint.h>

/// Processors the system lets this process use, at least 1.
int prn_available_processors(void);

// Elementwise (Activations.c). sigma is the logistic function, silu(x) = x sigma(x).
/// y = silu(x)
void prn_silu(const float *x, float *y, size_t n);
/// y = silu(gate) * up
void prn_silu_times(const float *gate, const float *up, float *y, size_t n);
/// From dy, the gradient at silu(gate) * up: d_gate = dy up silu'(gate), d_up = dy silu(gate).
void prn_silu_times_gradient(const float *gate, const float *up, const float *dy, float *d_gate, float *d_up, size_t n);
/// y = gelu(x) = x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
void prn_gelu_tanh(const float *x, float *y, size_t n);
/// dx = dy gelu'(x), of prn_gelu_tanh.
void prn_gelu_tanh_gradient(const float *x, const float *dy, float *dx, size_t n);
/// x = exp(x - shift) factor, relative error of exp below 2e-7; x - shift is first limited to [-87, 88].
void prn_exponential(float *x, size_t n, float shift, float factor);

// One row, that is one token, or one of its heads (Rows.c).
/// y = weight x / sqrt(mean(x^2) + epsilon)
void prn_rms_norm(const float *x, const float *weight, float *y, size_t n, float epsilon);
/// dx += the gradient at x of prn_rms_norm, from dy.
void prn_rms_norm_gradient(const float *x, const float *weight, const float *dy, size_t n, float epsilon, float *dx);
/// y = weight (x - mean) / sqrt(variance + epsilon) + bias
void prn_layer_norm(const float *x, const float *weight, const float *bias, float *y, size_t n, float epsilon);
/// dx += the gradient at x of prn_layer_norm, from dy.
void prn_layer_norm_gradient(const float *x, const float *weight, const float *dy, size_t n, float epsilon, float *dx);
/// Rotates element i with element i + pairs by the angle of pair i, in place; direction -1 rotates back (the gradient).
void prn_rotate_halves(float *x, size_t pairs, const float *cosine, const float *sine, float direction);
/// Rotates element 2i with element 2i + 1 by the angle of pair i, in place; direction -1 rotates back.
void prn_rotate_neighbours(float *x, size_t pairs, const float *cosine, const float *sine, float direction);
/// Adds n more numbers to a running log(sum(exp)), kept as *maximum and *sum = sum(exp(x - maximum)).
/// Starts as -infinity and 0.
void prn_log_sum_exp(const float *x, size_t n, float *maximum, double *sum);
/// 1 when no number is NaN or infinite.
int prn_all_finite(const float *x, size_t n);

// Many rows (Rows.c).
/// x = softmax(scale * x) per row, in place. Row i uses its first min(columns, visible + i) elements and sets the rest
/// to zero: visible = position of the first row + 1 for causal attention, columns for none hidden. visible >= 1.
void prn_softmax_rows(float *x, size_t stride, size_t rows, size_t columns, size_t visible, float scale);
/// dp = scale p (dp - sum(dp p)) per row, in place: the gradient at x of p = prn_softmax_rows, from that at p.
void prn_softmax_rows_gradient(const float *p, size_t p_stride, float *dp, size_t dp_stride, size_t rows,
                               size_t columns, float scale);
/// mean[j] and m2[j] = sum over rows of (x[., j] - mean[j])^2, in double and two passes, row after row.
void prn_column_moments(const float *x, size_t stride, size_t rows, size_t columns, double *mean, double *m2);

// Distances between rows (Clusters.c).
/// index[i] = the k of least |x_i - c_k|^2, the lowest of equal ones, and that least value as distance[i].
/// centers is columns x width and holds -2 c, norms (width) holds |c_k|^2; width is a multiple of 16, and what pads it
/// has infinite norms.
void prn_nearest_rows(const float *x, size_t stride, size_t rows, size_t columns, const float *centers,
                      const float *norms, size_t width, int32_t *index, float *distance);
/// distance[i] = |x_i - center|^2
void prn_squared_distances(const float *x, size_t stride, size_t rows, size_t columns, const float *center,
                           float *distance);

// Products of numbers rounded to bfloat16, the upper half of a float; sums are floats (Bfloat.c).
/// Columns of a panel.
#define PRN_PANEL 64
/// 1 when this processor multiplies bfloat16 by itself; otherwise products take the same numbers the slow way.
int prn_has_bfloat(void);
/// y = x, each to the nearest bfloat16, ties to even.
void prn_bfloat_round(const float *x, uint16_t *y, size_t n);
/// Up to PRN_PANEL columns of b, rounded, as (rows + 1) / 2 x PRN_PANEL pairs (b[2i, j], b[2i + 1, j]); zeros pad.
void prn_bfloat_pack(const float *b, size_t row_stride, size_t column_stride, size_t rows, size_t columns,
                     uint32_t *panel);
/// c = a b, or c += a b, for the columns of one panel; a has 2 pairs numbers a row, a_stride apart.
void prn_bfloat_product(const uint16_t *a, size_t a_stride, size_t rows, const uint32_t *panel, size_t pairs, float *c,
                        size_t c_stride, size_t columns, int adding);
/// The same on any processor.
void prn_bfloat_product_portable(const uint16_t *a, size_t a_stride, size_t rows, const uint32_t *panel, size_t pairs,
                                 float *c, size_t c_stride, size_t columns, int adding);
#endif
