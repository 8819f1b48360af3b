// Diagonal recurrence, forward and backward; called by compiled_diagonal.py.
#include "compiled.h"

namespace {
// A row of n elements, real or complex; a complex one is a pair of reals.
template <class S, bool is_complex>
void step(const S *a, const S *x, const S *h, S *out, Int n) {  // out = x + a * h
    if constexpr (is_complex) {
        for (Int i = 0; i < 2 * n; i += 2) {
            const S re = a[i] * h[i] - a[i + 1] * h[i + 1], im = a[i] * h[i + 1] + a[i + 1] * h[i];
            out[i] = x[i] + re, out[i + 1] = x[i + 1] + im;
        }
    } else {
        for (Int i = 0; i < n; i++) out[i] = x[i] + a[i] * h[i];
    }
}

template <class S, bool is_complex>
void times_conj(const S *g, const S *z, S *out, Int n) {  // out = g * conj(z)
    if constexpr (is_complex) {
        for (Int i = 0; i < 2 * n; i += 2) {
            const S re = g[i] * z[i] + g[i + 1] * z[i + 1], im = g[i + 1] * z[i] - g[i] * z[i + 1];
            out[i] = re, out[i + 1] = im;
        }
    } else {
        for (Int i = 0; i < n; i++) out[i] = g[i] * z[i];
    }
}

// dx = d + g * conj(a); da = dx * conj(h), left out where da is null
template <class S, bool is_complex>
void step_back(const S *d, const S *g, const S *a, const S *h, S *dx, S *da, Int n) {
    if constexpr (is_complex) {
        for (Int i = 0; i < 2 * n; i += 2) {
            const S re = d[i] + (g[i] * a[i] + g[i + 1] * a[i + 1]);
            const S im = d[i + 1] + (g[i + 1] * a[i] - g[i] * a[i + 1]);
            dx[i] = re, dx[i + 1] = im;
        }
        if (da) times_conj<S, true>(dx, h, da, n);
    } else if (da) {
        for (Int i = 0; i < n; i++) {
            const S value = d[i] + g[i] * a[i];
            dx[i] = value, da[i] = value * h[i];
        }
    } else {
        for (Int i = 0; i < n; i++) dx[i] = d[i] + g[i] * a[i];
    }
}

// Blocks of a row that is not summed over: at most 2048 wide, narrower where the tasks would not fill the threads.
Int free_block(Int batch, Int channels, Int threads) {
    Int block = 2048;
    while (block > 64 && batch * ((channels + block - 1) / block) < 2 * threads) block /= 2;
    return threads > 1 ? block : 2048;
}

template <class S, bool is_complex>
void diagonal_forward(const S *a, Int a_b, Int a_t, const S *x, Int x_b, Int x_t, const S *h0, S *out, Int B, Int T,
                      Int D, Int threads) {
    const Int c = is_complex ? 2 : 1, block = free_block(B, D, threads), blocks = (D + block - 1) / block;
    for_each(B * blocks, threads, [=](Int task) {
        const Int b = task / blocks, d = task % blocks * block, n = std::min(block, D - d);
        const S *h = h0 + c * (b * D + d);
        for (Int t = 0; t < T; t++) {
            S *row = out + c * ((b * T + t) * D + d);
            step<S, is_complex>(a + c * (b * a_b + t * a_t + d), x + c * (b * x_b + t * x_t + d), h, row, n);
            h = row;
        }
    });
}

// dx_t = dh_t + conj(a_{t+1}) dx_{t+1}; da_t = dx_t conj(h_{t-1}); dh0 = conj(a_1) dx_1
template <class S, bool is_complex>
void diagonal_backward(const S *a, Int a_b, Int a_t, const S *dh, Int dh_b, Int dh_t, const S *h0, const S *states,
                       S *da, S *dx, S *dh0, Int B, Int T, Int D, Int threads) {
    const Int c = is_complex ? 2 : 1, block = free_block(B, D, threads), blocks = (D + block - 1) / block;
    for_each(B * blocks, threads, [=](Int task) {
        const Int b = task / blocks, d = task % blocks * block, n = std::min(block, D - d);
        const std::vector<S> zeros(c * n, 0);
        const S *g = zeros.data(), *factor = zeros.data();
        for (Int t = T - 1; t >= 0; t--) {
            const Int here = c * ((b * T + t) * D + d);
            const S *before = t ? states + here - c * D : h0 + c * (b * D + d);
            step_back<S, is_complex>(dh + c * (b * dh_b + t * dh_t + d), g, factor, before, dx + here,
                                     da ? da + here : nullptr, n);
            g = dx + here, factor = a + c * (b * a_b + t * a_t + d);
        }
        times_conj<S, is_complex>(g, factor, dh0 + c * (b * D + d), n);
    });
}
}  // namespace

#define DIAGONAL(name, S, is_complex)                                                                                 \
    void diagonal_forward_##name(const S *a, Int a_b, Int a_t, const S *x, Int x_b, Int x_t, const S *h0, S *out,     \
                                 Int B, Int T, Int D, Int threads) {                                                  \
        diagonal_forward<S, is_complex>(a, a_b, a_t, x, x_b, x_t, h0, out, B, T, D, threads);                         \
    }                                                                                                                 \
    void diagonal_backward_##name(const S *a, Int a_b, Int a_t, const S *dh, Int dh_b, Int dh_t, const S *h0,         \
                                  const S *states, S *da, S *dx, S *dh0, Int B, Int T, Int D, Int threads) {          \
        diagonal_backward<S, is_complex>(a, a_b, a_t, dh, dh_b, dh_t, h0, states, da, dx, dh0, B, T, D, threads);     \
    }

extern "C" {
DIAGONAL(f32, float, false)
DIAGONAL(f64, double, false)
DIAGONAL(c64, float, true)
DIAGONAL(c128, double, true)
}
