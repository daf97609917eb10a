// The mathematics, once, for a CPU and for a GPU. No include guard: every backend includes it into a namespace of its
// own, where KIBAN_HD says how its functions are compiled.

/// Numbers as unsigned ones of the same order, and back: the sign bit turned, of negative floats all bits.
KIBAN_HD inline std::uint8_t key_of(std::uint8_t value) { return value; }
KIBAN_HD inline std::uint8_t key_of(std::int8_t value) { return static_cast<std::uint8_t>(value ^ 0x80); }
KIBAN_HD inline std::uint16_t key_of(std::uint16_t value) { return value; }
KIBAN_HD inline std::uint16_t key_of(std::int16_t value) { return static_cast<std::uint16_t>(value ^ 0x8000); }
KIBAN_HD inline std::uint32_t key_of(std::uint32_t value) { return value; }
KIBAN_HD inline std::uint32_t key_of(std::int32_t value) { return static_cast<std::uint32_t>(value) ^ 0x80000000U; }
KIBAN_HD inline std::uint32_t key_of(float value) {
  std::uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits >> 31 ? ~bits : bits | 0x80000000U;
}

template <class T, class Key>
KIBAN_HD T value_of(Key key) {
  if (T(0.5F) != T(0)) {
    const std::uint32_t wide = key, bits = wide >> 31 ? wide & 0x7FFFFFFFU : ~wide;
    T value;
    memcpy(&value, &bits, sizeof value);
    return value;
  }
  constexpr Key kSign = static_cast<Key>(Key(1) << (8 * sizeof(Key) - 1));
  return static_cast<T>(T(-1) < T(0) ? static_cast<Key>(key ^ kSign) : key);
}

/// value + shift, as far as the type goes. Of whole numbers, a shift of them.
template <class T>
KIBAN_HD T shifted(T value, double shift) {
  const bool is_float = T(0.5F) != T(0), is_signed = T(-1) < T(0);
  const double end = static_cast<double>(std::uint64_t{1} << (8 * sizeof(T) - (is_signed ? 1 : 0)));
  const double largest = is_float ? 3.4028234663852886e38 : end - 1;
  const double least = is_float ? -largest : is_signed ? -end : 0;
  const double sum = static_cast<double>(value) + shift;
  return static_cast<T>(sum < least ? least : sum > largest ? largest : sum);
}
