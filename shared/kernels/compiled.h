// What the compiled CPU kernels share: tasks on threads, vectors, the exponential.
//
// Every kernel walks time one step after the other and has the channels in its inner loop. A task is one row of the
// batch and one block of channels; tasks share no sum, and the width of a block that is summed over depends on the
// shapes alone. Products and sums are rounded one by one (-ffp-contract=off) and exp is ours. So the bits depend neither
// on the instruction set nor on the number of threads.
//
// Shapes: B batch, T time, D channels, N states per channel, W filter width. Strides count elements; a row of channels
// is contiguous, and what has no stride among the arguments is contiguous as a whole.
#pragma once
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
}  // namespace
