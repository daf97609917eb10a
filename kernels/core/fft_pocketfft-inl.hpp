// pocketfft once for one instruction set. No include guard: fft.cpp includes it in several target regions, each time
// with another name for the library's namespace, so that the linker cannot give a narrow machine the wide machine's
// code.
//   KIBAN_FFT_NAMESPACE   the name of pocketfft's namespace here
//   KIBAN_FFT_LANES       floats in a vector
#undef POCKETFFT_HDRONLY_H
#undef PYTHONIC_INCLUDE_NUMPY_FFT_POCKETFFT_HPP
// It asks for sizes that are no multiple of the alignment, which the standard forbids and the sanitizers refuse.
#define aligned_alloc(alignment, bytes) aligned_alloc(alignment, ((bytes) + (alignment)-1) / (alignment) * (alignment))
#define pocketfft KIBAN_FFT_NAMESPACE
#include KIBAN_POCKETFFT
#undef aligned_alloc

namespace kiban::KIBAN_FFT_NAMESPACE {

using Plan = ::pocketfft::detail::pocketfft_r<float>;
typedef float Lanes __attribute__((vector_size(KIBAN_FFT_LANES * sizeof(float)), may_alias));

inline void execute(const void* plan, float* data, bool forward) {
  static_cast<const Plan*>(plan)->exec(reinterpret_cast<Lanes*>(data), 1.F, forward);
}
inline std::shared_ptr<void> make_plan(std::size_t length) { return std::make_shared<Plan>(length); }

}  // namespace kiban::KIBAN_FFT_NAMESPACE
#undef pocketfft
#undef KIBAN_FFT_NAMESPACE
#undef KIBAN_FFT_LANES
