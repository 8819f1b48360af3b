// Diagonal scan, selective scan and short convolution on the CPU, forward and backward; built and called by compiled.py.
//
// Every form walks time one step after the other and has the channels in its inner loop. A task is one row of the batch
// and one block of channels; tasks share no sum, and the width of a block that is summed over depends on the shapes
// alone. Products and sums are rounded one by one (-ffp-contract=off) and exp is ours. So the bits depend neither on the
// instruction set nor on the number of threads.
//
// Shapes: B batch, T time, D channels, N states per channel, W filter width. Strides count elements; a row of channels
// is contiguous, and what has no stride among the arguments is contiguous as a whole.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <system_error>
#include <thread>
#include <vector>
#ifdef __AVX__
#include <immintrin.h>
#endif

namespace {
using Int = int64_t;

template <class Task>
void for_each(Int tasks, Int threads, const Task &task) {
    std::atomic<Int> next{0};
    const auto work = [&] {
        for (Int i; (i = next++) < tasks;) task(i);
    };
    std::vector<std::thread> others;
    try {
        for (Int k = 1; k < std::min(threads, tasks); k++) others.emplace_back(work);
    } catch (const std::system_error &) {  // fewer threads do the same work
    }
    work();
    for (auto &thread : others) thread.join();
}

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

// Vectors by the compiler's own extension, as wide as the instruction set has them.
#ifdef __AVX__
constexpr int vector_bytes = 32;
#else
constexpr int vector_bytes = 16;
#endif
template <class S>
struct Real;
template <>
struct Real<float> {
    typedef float V __attribute__((vector_size(vector_bytes)));
    typedef int32_t I __attribute__((vector_size(vector_bytes)));
    static constexpr int32_t bias = 127, magic_bits = 0x4b400000, mantissa = 23;
    static constexpr float lowest = -126.0f, highest = 128.2f, magic = 12582912.0f;  // 1.5 * 2^mantissa
};
template <>
struct Real<double> {
    typedef double V __attribute__((vector_size(vector_bytes)));
    typedef int64_t I __attribute__((vector_size(vector_bytes)));
    static constexpr int64_t bias = 1023, magic_bits = 0x4338000000000000, mantissa = 52;
    static constexpr double lowest = -1022.0, highest = 1024.2, magic = 6755399441055744.0;
};

// Maximum and minimum as x86 has them: the second argument where one is NaN.
template <class V>
inline V larger(V a, V b) {
    return a > b ? a : b;
}
template <class V>
inline V smaller(V a, V b) {
    return a < b ? a : b;
}
#ifdef __AVX__
template <>
inline __m256 larger(__m256 a, __m256 b) {
    return _mm256_max_ps(a, b);
}
template <>
inline __m256 smaller(__m256 a, __m256 b) {
    return _mm256_min_ps(a, b);
}
#endif

template <class S>
typename Real<S>::V splat(S s) {
    return s - typename Real<S>::V{};
}

template <class S>
constexpr auto twice_taylor_of_exp2() {
    std::array<S, 16> c{2};
    for (int n = 1; n < 16; n++) c[n] = c[n - 1] * S(0.69314718055994530942) / n;
    return c;
}

// 2^x = 2^k 2^r with |r| <= 1/2, exact in r, and Taylor's polynomial, whose remainder is below the last digit. The bounds
// make the power of two vanish below (2e-38 in float) and the product overflow above; NaN stays NaN.
template <class S>
inline typename Real<S>::V exp2(typename Real<S>::V x) {
    using R = Real<S>;
    using V = typename R::V;
    constexpr auto c = twice_taylor_of_exp2<S>();  // twice 2^r, so that the exponent k - 1 fits at both ends
    x = smaller(splat(R::highest), larger(splat(R::lowest), x));
    const V rounded = x + R::magic, r = x - (rounded - R::magic), r2 = r * r, r4 = r2 * r2;
    V sum = ((c[0] + c[1] * r) + r2 * (c[2] + c[3] * r)) + r4 * ((c[4] + c[5] * r) + r2 * (c[6] + c[7] * r));
    if constexpr (sizeof(S) == 8)
        sum += r4 * r4 * (((c[8] + c[9] * r) + r2 * (c[10] + c[11] * r)) + r4 * (c[12] + c[13] * r));
    const auto power = ((typename R::I)rounded + (R::bias - 1 - R::magic_bits)) << R::mantissa;
    return sum * (V)power;
}

template <class S>
struct Selective {
    using V = typename Real<S>::V;
    static constexpr Int lanes = vector_bytes / sizeof(S), halves = 32 / vector_bytes;  // sums over channels have 32 bytes
    const S *A;  // (B, D, N)
    Int A_b;
    const S *x, *delta, *B_, *C_;      // (B, T, D) twice, (B, T, N) twice
    Int B, T, D, N, chunk;             // `chunk` steps between two kept states

    Int width() const {  // channels of a block: 64, fewer where a chunk of their states would leave the cache
        Int w = 64;
        while (w > lanes && chunk * N * w * Int(sizeof(S)) > (1 << 17)) w /= 2;
        return w;
    }
    Int blocks() const { return (D + width() - 1) / width(); }
    Int chunks() const { return (T + chunk - 1) / chunk; }

    struct Block {  // rows of channels, padded with zeros to whole vectors; `rate` is A / ln 2
        Int b, first, n, vectors;
        std::vector<V> A, rate, h, x, delta, driven;
    };
    Block block(Int task) const {
        Block z;
        z.b = task / blocks(), z.first = task % blocks() * width(), z.n = std::min(width(), D - z.first);
        z.vectors = (z.n + lanes - 1) / lanes;
        z.A.assign(z.vectors * N, V{}), z.h = z.A;
        z.x.assign(z.vectors, V{}), z.delta = z.driven = z.x;
        gather(A + z.b * A_b, z, z.A);
        z.rate = z.A;
        for (V &rate : z.rate) rate *= S(1.44269504088896340736);
        return z;
    }
    void gather(const S *from, const Block &z, std::vector<V> &to) const {  // (D, N) -> [vector][state][lane]
        for (Int d = 0; d < z.n; d++)
            for (Int n = 0; n < N; n++)
                ((S *)&to[d / lanes * N + n])[d % lanes] = from[(z.first + d) * N + n];
    }
    void scatter(const std::vector<V> &from, const Block &z, S *to) const {
        for (Int d = 0; d < z.n; d++)
            for (Int n = 0; n < N; n++)
                to[(z.first + d) * N + n] = ((const S *)&from[d / lanes * N + n])[d % lanes];
    }
    void read(Block &z, Int t) const {
        const Int here = (z.b * T + t) * D + z.first;
        memcpy((void *)z.x.data(), x + here, sizeof(S) * z.n);
        memcpy((void *)z.delta.data(), delta + here, sizeof(S) * z.n);
        for (Int v = 0; v < z.vectors; v++) z.driven[v] = z.delta[v] * z.x[v];
    }
    V *kept(S *states, const Block &z, Int c) const {  // (B, chunks, D padded to 8s, N) in the order of a block
        const Int whole = (D + 7) / 8 * 8 * N;
        return (V *)(states + (z.b * chunks() + c) * whole + z.first * N);
    }

    void forward(const S *h0, S *y, S *last, S *states, Int threads) const {
        for_each(B * blocks(), threads, [=, this_ = *this](Int task) {
            const auto &s = this_;
            Block z = s.block(task);
            s.gather(h0 + z.b * s.D * s.N, z, z.h);
            std::vector<V> out(z.vectors, V{});
            for (Int t = 0; t < s.T; t++) {
                if (t % s.chunk == 0) memcpy((void *)s.kept(states, z, t / s.chunk), z.h.data(), sizeof(V) * z.h.size());
                s.read(z, t);
                const S *b = s.B_ + (z.b * s.T + t) * s.N, *c = s.C_ + (z.b * s.T + t) * s.N;
                for (Int v = 0; v < z.vectors; v++) {
                    const V step = z.delta[v], driven = z.driven[v];
                    V *__restrict h = &z.h[v * s.N], sum = V{};
                    const V *rate = &z.rate[v * s.N];
                    for (Int n = 0; n < s.N; n++) {
                        h[n] = exp2<S>(step * rate[n]) * h[n] + driven * b[n];
                        sum += h[n] * c[n];
                    }
                    out[v] = sum;
                }
                memcpy(y + (z.b * s.T + t) * s.D + z.first, out.data(), sizeof(S) * z.n);
            }
            s.scatter(z.h, z, last + z.b * s.D * s.N);
        });
    }

    // `parts` (B, blocks, 2, T, N): what each block adds to the gradients of B and C
    void backward(const S *dy, const S *d_last, S *states, S *d_h0, S *dA, S *dx, S *d_delta, S *dB, S *dC, S *parts,
                  Int threads) const {
        for_each(B * blocks(), threads, [=, this_ = *this](Int task) {
            const auto &s = this_;
            const Int N = s.N, T = s.T;
            Block z = s.block(task);
            const Int size = z.vectors * N;
            std::vector<V> g(size, V{}), d_a(size, V{}), decay(s.chunk * size), h((s.chunk + 1) * size);
            std::vector<V> row(z.vectors, V{}), row_x(z.vectors), row_delta(z.vectors), to_b(halves * N), to_c(halves * N);
            s.gather(d_last + z.b * s.D * s.N, z, g);
            S *part_b = parts + task * 2 * T * N, *part_c = part_b + T * N;
            for (Int k = s.chunks() - 1; k >= 0; k--) {
                const Int begin = k * s.chunk, end = std::min(T, begin + s.chunk);
                memcpy((void *)h.data(), s.kept(states, z, k), sizeof(V) * size);
                for (Int t = begin; t < end; t++) {
                    s.read(z, t);
                    const S *b = s.B_ + (z.b * T + t) * N;
                    V *e = &decay[(t - begin) * size], *now = &h[(t - begin) * size];
                    for (Int v = 0; v < z.vectors; v++)
                        for (Int i = v * N, n = 0; n < N; n++, i++) {
                            e[i] = exp2<S>(z.delta[v] * z.rate[i]);
                            now[size + i] = e[i] * now[i] + z.driven[v] * b[n];
                        }
                }
                for (Int t = end - 1; t >= begin; t--) {
                    s.read(z, t);
                    const Int here = (z.b * T + t) * s.D + z.first;
                    const S *b = s.B_ + (z.b * T + t) * N, *c = s.C_ + (z.b * T + t) * N;
                    const V *e = &decay[(t - begin) * size], *before = &h[(t - begin) * size], *now = before + size;
                    memcpy((void *)row.data(), dy + here, sizeof(S) * z.n);
                    std::fill(to_b.begin(), to_b.end(), V{}), std::fill(to_c.begin(), to_c.end(), V{});
                    for (Int v = 0; v < z.vectors; v++) {
                        V d_driven = V{}, d_step = V{};
                        for (Int i = v * N, n = 0; n < N; n++, i++) {
                            const V flow = g[i] + row[v] * c[n];  // gradient of h_t
                            to_b[v % halves * N + n] += flow * z.driven[v];
                            to_c[v % halves * N + n] += row[v] * now[i];
                            d_driven += flow * b[n];
                            g[i] = flow * e[i];
                            const V d_exponent = g[i] * before[i];
                            d_a[i] += d_exponent * z.delta[v];
                            d_step += d_exponent * z.A[i];
                        }
                        row_x[v] = z.delta[v] * d_driven;
                        row_delta[v] = z.x[v] * d_driven + d_step;
                    }
                    memcpy(dx + here, row_x.data(), sizeof(S) * z.n);
                    memcpy(d_delta + here, row_delta.data(), sizeof(S) * z.n);
                    for (Int n = 0; n < N; n++)
                        part_b[t * N + n] = total(&to_b[n], N), part_c[t * N + n] = total(&to_c[n], N);
                }
            }
            s.scatter(g, z, d_h0 + z.b * s.D * N), s.scatter(d_a, z, dA + z.b * s.D * N);
        });
        for (Int b = 0; b < B; b++)
            for (Int i = 0; i < 2 * T * N; i++) {
                S sum = 0;
                for (Int k = 0; k < blocks(); k++) sum += parts[(b * blocks() + k) * 2 * T * N + i];
                (i < T * N ? dB : dC - T * N)[b * T * N + i] = sum;
            }
    }
    static S total(const V *sums, Int stride) {
        S sum = 0;
        for (Int half = 0; half < halves; half++)
            for (Int i = 0; i < lanes; i++) sum += sums[half * stride][i];
        return sum;
    }
};

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

#define DIAGONAL(name, S, is_complex)                                                                                 \
    void diagonal_forward_##name(const S *a, Int a_b, Int a_t, const S *x, Int x_b, Int x_t, const S *h0, S *out,     \
                                 Int B, Int T, Int D, Int threads) {                                                  \
        diagonal_forward<S, is_complex>(a, a_b, a_t, x, x_b, x_t, h0, out, B, T, D, threads);                         \
    }                                                                                                                 \
    void diagonal_backward_##name(const S *a, Int a_b, Int a_t, const S *dh, Int dh_b, Int dh_t, const S *h0,         \
                                  const S *states, S *da, S *dx, S *dh0, Int B, Int T, Int D, Int threads) {          \
        diagonal_backward<S, is_complex>(a, a_b, a_t, dh, dh_b, dh_t, h0, states, da, dx, dh0, B, T, D, threads);     \
    }
#define OTHERS(name, S)                                                                                               \
    Int selective_parts_##name(Int D, Int N, Int chunk) {                                                             \
        return Selective<S>{nullptr, 0, nullptr, nullptr, nullptr, nullptr, 1, 1, D, N, chunk}.blocks();              \
    }                                                                                                                 \
    void selective_forward_##name(const S *A, Int A_b, const S *x, const S *delta, const S *B_, const S *C_,          \
                                  const S *h0, S *y, S *last, S *states, Int B, Int T, Int D, Int N, Int chunk,       \
                                  Int threads) {                                                                      \
        Selective<S>{A, A_b, x, delta, B_, C_, B, T, D, N, chunk}.forward(h0, y, last, states, threads);              \
    }                                                                                                                 \
    void selective_backward_##name(const S *A, Int A_b, const S *x, const S *delta, const S *B_, const S *C_,         \
                                   const S *dy, const S *d_last, S *states, S *d_h0, S *dA, S *dx, S *d_delta, S *dB, \
                                   S *dC, S *parts, Int B, Int T, Int D, Int N, Int chunk, Int threads) {             \
        Selective<S>{A, A_b, x, delta, B_, C_, B, T, D, N, chunk}.backward(dy, d_last, states, d_h0, dA, dx, d_delta, \
                                                                           dB, dC, parts, threads);                   \
    }                                                                                                                 \
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
Int kernels_version() { return 1; }
DIAGONAL(f32, float, false)
DIAGONAL(f64, double, false)
DIAGONAL(c64, float, true)
DIAGONAL(c128, double, true)
OTHERS(f32, float)
OTHERS(f64, double)
}
