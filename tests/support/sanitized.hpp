#pragma once

namespace kiban::test {

/// Whether a sanitizer watches this program: it keeps memory of its own, ends the program where memory is refused, and
/// touches a shadow of every element.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace kiban::test
