#include "kernels/core/finite.hpp"

namespace kiban {

bool all_finite(Stream& stream, Span<const float, 3> values) {
  if (values.size() == 0) return true;
  bool finite = true;
  if (values.device().kind == DeviceKind::cpu)
    cpu::check_finite(stream, values, finite);
  else
    KIBAN_BACKEND_FOR(stream, check_finite)(stream, values, finite);
  return finite;
}

}  // namespace kiban
