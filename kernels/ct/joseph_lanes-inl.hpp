// The words in which joseph_math-inl.hpp is written, for vectors of Highway. Included where `hn` is the instruction
// set's namespace and `Vector` its floats.
template <class T>
HWY_ATTR inline T splat(hn::TFromV<T> value) {
  return hn::Set(hn::DFromV<T>(), value);
}
template <class T>
HWY_ATTR inline T add(T a, T b) {
  return hn::Add(a, b);
}
template <class T>
HWY_ATTR inline T subtract(T a, T b) {
  return hn::Sub(a, b);
}
template <class T>
HWY_ATTR inline T multiply(T a, T b) {
  return hn::Mul(a, b);
}
template <class T>
HWY_ATTR inline T divide(T a, T b) {
  return hn::Div(a, b);
}
template <class T>
HWY_ATTR inline T multiply_add(T a, T b, T c) {
  return hn::MulAdd(a, b, c);
}
template <class T>
HWY_ATTR inline T square_root(T a) {
  return hn::Sqrt(a);
}
template <class T>
HWY_ATTR inline T magnitude(T a) {
  return hn::Abs(a);
}
template <class T>
HWY_ATTR inline T lesser(T a, T b) {
  return hn::Min(a, b);
}
template <class T>
HWY_ATTR inline T larger(T a, T b) {
  return hn::Max(a, b);
}
template <class T>
HWY_ATTR inline T where_greater(T a, T b, T x, T y) {
  return hn::IfThenElse(hn::Gt(a, b), x, y);
}
HWY_ATTR inline Vector round_up(Vector a) { return hn::Ceil(a); }
HWY_ATTR inline Vector round_down(Vector a) { return hn::Floor(a); }
