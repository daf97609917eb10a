#pragma once
#include <dlfcn.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <span>
#include <string>

#include "kernels/variant/flush_subnormals.hpp"
#include "kernels/variant/pairhmm.hpp"

namespace kiban::peers {

/// Intel's Genomics Kernel Library (Debian's libgkl-jni): the PairHMM that GATK runs, called past Java. One thread.
class Gkl {
 public:
  /// Null where the library, or AVX-512, is missing.
  static const Gkl* get() {
    static const Gkl made;
    return made.in_float_ ? &made : nullptr;
  }

  /// What GATK would get: float, and double where that is below 1e-28.   likelihoods [pair] log10
  void pairhmm(const variant::PairHmmRegions& regions, std::span<double> likelihoods) const {
    const variant::FlushSubnormals flushing;  // as its own caller does
    std::size_t pair = 0;
    for (std::size_t g = 0; g + 1 < regions.reads_begin.size(); ++g)
      for (std::int64_t r = regions.reads_begin[g]; r < regions.reads_begin[g + 1]; ++r)
        for (std::int64_t h = regions.haplotypes_begin[g]; h < regions.haplotypes_begin[g + 1]; ++h)
          likelihoods[pair++] = likelihood(regions, static_cast<std::size_t>(r), static_cast<std::size_t>(h));
  }

 private:
  struct TestCase {
    int read_length, haplotype_length;
    const char *base_quality, *insertion_quality, *deletion_quality, *gap_quality, *haplotype, *read;
  };

  Gkl() {
    const char* set = std::getenv("KIBAN_GKL");
    void* library = dlopen(set ? set : "/usr/lib/jni/libgkl_pairhmm.so", RTLD_NOW | RTLD_LOCAL);
    if (!library || !has_avx512()) return;
    // It fills its tables when Java loads it, and asks Java for nothing but the numbers of some fields.
    static std::array<void*, 300> functions;
    functions.fill(reinterpret_cast<void*>(&any_field));
    static void* const java = functions.data();
    using Init = void (*)(void* const*, void*, void*, void*, unsigned char, int);
    const auto init = symbol<Init>(library, "Java_com_intel_gkl_pairhmm_IntelPairHmm_initNative");
    in_double_ = symbol<double (*)(TestCase*)>(library, "_Z25compute_full_prob_avx512dIdET_P8testcase");
    if (!init || !in_double_) return;
    const variant::FlushSubnormals restoring;  // it leaves the thread flushing
    init(&java, any_field(), any_field(), any_field(), 0, 1);
    in_float_ = symbol<float (*)(TestCase*)>(library, "_Z25compute_full_prob_avx512sIfET_P8testcase");
  }

  static bool has_avx512() {
#ifdef __x86_64__
    return __builtin_cpu_supports("avx512f");
#else
    return false;
#endif
  }
  static void* any_field() { return reinterpret_cast<void*>(1); }
  template <class Function>
  static Function symbol(void* library, const char* name) {
    return reinterpret_cast<Function>(dlsym(library, name));
  }

  double likelihood(const variant::PairHmmRegions& regions, std::size_t r, std::size_t h) const {
    const variant::Reads& reads = regions.reads;
    const auto first = static_cast<std::size_t>(reads.begin[r]);
    const auto start = static_cast<std::size_t>(regions.haplotypes.begin[h]);
    const auto text = [](std::span<const std::uint8_t> values, std::size_t at) {
      return reinterpret_cast<const char*>(values.data() + at);
    };
    TestCase pair{static_cast<int>(reads.begin[r + 1] - reads.begin[r]),
                  static_cast<int>(regions.haplotypes.begin[h + 1] - regions.haplotypes.begin[h]),
                  text(reads.base_quality, first),
                  text(reads.insertion_quality, first),
                  text(reads.deletion_quality, first),
                  text(reads.gap_quality, first),
                  text(regions.haplotypes.bases, start),
                  text(reads.bases, first)};
    const float scaled = in_float_(&pair);
    if (scaled >= 1e-28F) return std::log10(scaled) - std::log10(std::ldexp(1.0F, 120));
    return std::log10(in_double_(&pair)) - std::log10(std::ldexp(1.0, 1020));
  }

  float (*in_float_)(TestCase*) = nullptr;
  double (*in_double_)(TestCase*) = nullptr;
};

}  // namespace kiban::peers
