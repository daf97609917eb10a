// Included inside the namespace of a backend, which defines KIBAN_HD and, for its value type T,
//   subtract(T, T), multiply(T, T), larger(T, T), logarithm(T), negated(T).

/// -ln of the transmission, which is held above `least`.
template <class T>
KIBAN_HD inline T line_integral(T counts, T dark, T gain, T least) {
  return negated(logarithm(larger(multiply(subtract(counts, dark), gain), least)));
}
