// Selective scan, forward and backward; called by compiled_selective.py.
#include "compiled.h"

namespace {
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
}  // namespace

#define SELECTIVE(name, S)                                                                                            \
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
    }

extern "C" {
SELECTIVE(f32, float)
SELECTIVE(f64, double)
}
