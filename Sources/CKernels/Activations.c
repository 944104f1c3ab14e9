#include "CKernels.h"
#include "Inner.h"

// The GELU of GPT-2 is x sigma(2u), u = sqrt(2/pi) (x + 0.044715 x^3), since (1 + tanh u) / 2 = sigma(2u).
#define GELU_A 1.5957691216057308f
#define GELU_B 0.044715f

INNER float gelu_gate(float x) { return sigmoid(GELU_A * (x + GELU_B * x * x * x)); }

DISPATCHED void prn_silu(const float *x, float *y, size_t n) {
  for (size_t i = 0; i < n; i++) y[i] = x[i] * sigmoid(x[i]);
}

DISPATCHED void prn_silu_times(const float *gate, const float *up, float *y, size_t n) {
  for (size_t i = 0; i < n; i++) y[i] = gate[i] * sigmoid(gate[i]) * up[i];
}

// silu'(g) = sigma(g) (1 + g (1 - sigma(g)))
DISPATCHED void prn_silu_times_gradient(const float *gate, const float *up, const float *dy, float *d_gate,
                                        float *d_up, size_t n) {
  for (size_t i = 0; i < n; i++) {
    float g = gate[i], u = up[i], d = dy[i];
    float s = sigmoid(g);
    d_gate[i] = d * u * s * (1.0f + g * (1.0f - s));
    d_up[i] = d * g * s;
  }
}

DISPATCHED void prn_gelu_tanh(const float *x, float *y, size_t n) {
  for (size_t i = 0; i < n; i++) y[i] = x[i] * gelu_gate(x[i]);
}

DISPATCHED void prn_gelu_tanh_gradient(const float *x, const float *dy, float *dx, size_t n) {
  for (size_t i = 0; i < n; i++) {
    float a = x[i], s = gelu_gate(a);
    dx[i] = dy[i] * (s + a * s * (1.0f - s) * GELU_A * (1.0f + 3.0f * GELU_B * a * a));
  }
}

DISPATCHED void prn_exponential(float *x, size_t n, float shift, float factor) {
  for (size_t i = 0; i < n; i++) x[i] = exponential(x[i] - shift) * factor;
}
