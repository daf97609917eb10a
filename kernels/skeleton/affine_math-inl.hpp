// The mathematics, once, for a GPU's scalar and for a CPU's vector of any width. No include guard: every backend
// includes it into a namespace of its own, where KIBAN_HD says how its functions are compiled and `multiply_add(a, b,
// c)` is the machine's fused a * b + c.

template <class Value>
KIBAN_HD Value affine_value(Value scale, Value offset, Value value) {
  return multiply_add(scale, value, offset);
}
