#include "CKernels.h"
#include "Inner.h"

DISPATCHED void prn_exp(const float *x, float *y, size_t n) {
  for (size_t i = 0; i < n; i++) y[i] = exponential(x[i]);
}

DISPATCHED void prn_silu(const float *x, float *y, size_t n) {
  for (size_t i = 0; i < n; i++) y[i] = x[i] * sigmoid(x[i]);
}

DISPATCHED void prn_silu_times(const float *gate, const float *up, float *y, size_t n) {
  for (size_t i = 0; i < n; i++) y[i] = gate[i] * sigmoid(gate[i]) * up[i];
}

// (1 + tanh u) / 2 = sigma(2u)
DISPATCHED void prn_gelu_tanh(const float *x, float *y, size_t n) {
  for (size_t i = 0; i < n; i++) {
    float u = 0.7978845608028654f * (x[i] + 0.044715f * x[i] * x[i] * x[i]);
    y[i] = x[i] * sigmoid(2.0f * u);
  }
}

// silu'(g) = sigma(g) (1 + g (1 - sigma(g)))
DISPATCHED void prn_silu_times_backward(const float *gate, const float *up, const float *dy, float *d_gate,
                                        float *d_up, size_t n) {
  for (size_t i = 0; i < n; i++) {
    float g = gate[i], u = up[i], d = dy[i];
    float s = sigmoid(g);
    d_gate[i] = d * u * s * (1.0f + g * (1.0f - s));
    d_up[i] = d * g * s;
  }
}

DISPATCHED void prn_add(const float *x, float *y, size_t n) {
  for (size_t i = 0; i < n; i++) y[i] += x[i];
}

DISPATCHED void prn_add_bias(float *x, size_t stride, size_t rows, size_t columns, const float *bias) {
  for (size_t i = 0; i < rows; i++)
    for (size_t j = 0; j < columns; j++) x[i * stride + j] += bias[j];
}
