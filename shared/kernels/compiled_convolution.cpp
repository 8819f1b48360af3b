// Short depthwise convolution, forward and backward; called by compiled_convolution.py.
#include "compiled.h"

namespace {
// y_t = bias + sum_j w_j in_{t+j}, where in is initial_state (B, W - 1, D) followed by x (B, T, D); w (B, W, D)
template <class S>
struct Convolution {
    const S *x;
    Int x_b, x_t;
    const S *initial, *w;
    Int w_b, B, T, D, W;
    static constexpr Int block = 256;

    const S *input(Int b, Int t) const {
        return t < W - 1 ? initial + (b * (W - 1) + t) * D : x + b * x_b + (t - W + 1) * x_t;
    }
    template <class Task>
    void run(Int threads, const Task &task) const {
        const Int blocks = (D + block - 1) / block;
        for_each(B * blocks, threads, [&](Int i) {
            const Int d = i % blocks * block;
            task(i / blocks, d, std::min(block, D - d));
        });
    }
    void forward(const S *bias, Int bias_b, S *y, Int threads) const {  // bias (B, D) or null
        run(threads, [=, this_ = *this](Int b, Int d, Int n) {
            const auto &s = this_;
            S sum[block];
            for (Int t = 0; t < s.T; t++) {
                std::fill(sum, sum + n, S(0));
                for (Int j = 0; j < s.W; j++) add_product(s.w + b * s.w_b + j * s.D + d, s.input(b, t + j) + d, sum, n);
                S *row = y + (b * s.T + t) * s.D + d;
                if (bias)
                    for (Int i = 0; i < n; i++) row[i] = sum[i] + bias[b * bias_b + d + i];
                else
                    memcpy(row, sum, sizeof(S) * n);
            }
        });
    }
    void backward(const S *dy, Int dy_b, Int dy_t, S *dx, S *d_initial, S *dw, S *d_bias, Int threads) const {
        run(threads, [=, this_ = *this](Int b, Int d, Int n) {
            const auto &s = this_;
            for (Int j = 0; j < s.W; j++) std::fill_n(dw + (b * s.W + j) * s.D + d, n, S(0));
            std::fill_n(d_bias + b * s.D + d, n, S(0));
            S sum[block];
            for (Int u = 0; u < s.T + s.W - 1; u++) {  // input u was tap j of output u - j
                std::fill(sum, sum + n, S(0));
                for (Int j = std::max<Int>(0, u - s.T + 1); j < std::min(s.W, u + 1); j++) {
                    const S *flow = dy + b * dy_b + (u - j) * dy_t + d;
                    add_product(s.w + b * s.w_b + j * s.D + d, flow, sum, n);
                    add_product(flow, s.input(b, u) + d, dw + (b * s.W + j) * s.D + d, n);
                    if (j == 0)
                        for (Int i = 0; i < n; i++) d_bias[b * s.D + d + i] += flow[i];
                }
                S *row = u < s.W - 1 ? d_initial + (b * (s.W - 1) + u) * s.D : dx + (b * s.T + u - s.W + 1) * s.D;
                memcpy(row + d, sum, sizeof(S) * n);
            }
        });
    }
    static void add_product(const S *p, const S *q, S *sum, Int n) {
        for (Int i = 0; i < n; i++) sum[i] += p[i] * q[i];
    }
};
}  // namespace

#define CONVOLUTION(name, S)                                                                                          \
    void convolution_forward_##name(const S *x, Int x_b, Int x_t, const S *initial, const S *w, Int w_b,              \
                                    const S *bias, Int bias_b, S *y, Int B, Int T, Int D, Int W, Int threads) {       \
        Convolution<S>{x, x_b, x_t, initial, w, w_b, B, T, D, W}.forward(bias, bias_b, y, threads);                   \
    }                                                                                                                 \
    void convolution_backward_##name(const S *x, Int x_b, Int x_t, const S *initial, const S *w, Int w_b,             \
                                     const S *dy, Int dy_b, Int dy_t, S *dx, S *d_initial, S *dw, S *d_bias, Int B,   \
                                     Int T, Int D, Int W, Int threads) {                                              \
        Convolution<S>{x, x_b, x_t, initial, w, w_b, B, T, D, W}.backward(dy, dy_b, dy_t, dx, d_initial, dw, d_bias,  \
                                                                          threads);                                   \
    }

extern "C" {
CONVOLUTION(f32, float)
CONVOLUTION(f64, double)
}
