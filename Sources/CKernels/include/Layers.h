#ifndef LAYERS_H
#define LAYERS_H
#include <stddef.h>
#include <stdint.h>
// More inner loops of the transformer (Layers.c), one row (one token) per call.

/// dx += the gradient at x of y = weight x / sqrt(mean(x^2) + eps), from dy.
void prn_rms_norm_gradient(const float *x, const float *weight, const float *dy, size_t n, float eps, float *dx);
/// dx += the gradient at x of y = weight (x - mean) / sqrt(variance + eps) + bias, from dy.
void prn_layer_norm_gradient(const float *x, const float *weight, const float *dy, size_t n, float eps, float *dx);
/// dx = dy gelu'(x), of prn_gelu_tanh.
void prn_gelu_tanh_gradient(const float *x, const float *dy, float *dx, size_t n);
/// Rotates element 2i with element 2i + 1 by the angle of pair i, in place; direction -1 rotates back.
void prn_rotate_neighbours(float *x, size_t pairs, const float *cosine, const float *sine, float direction);
/// Adds n more numbers to a running log(sum(exp)), kept as *maximum and *sum = sum(exp(x - maximum)).
/// Starts as -infinity and 0.
void prn_log_sum_exp(const float *x, size_t n, float *maximum, double *sum);
/// x = exp(x - shift) factor
void prn_exponential(float *x, size_t n, float shift, float factor);
/// 1 when no number is NaN or infinite.
int prn_all_finite(const float *x, size_t n);
#endif
