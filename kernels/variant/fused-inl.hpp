// Included by every CPU walk into Highway's namespace of each instruction set, where `hn` is that namespace and <cmath>
// is there. No include guard.

/// a b + c with one rounding, on every processor: without the instruction the sum is taken lane by lane.
template <class D, class V = hn::Vec<D>>
KIBAN_HD inline V fused(D d, V a, V b, V c) {
#if HWY_NATIVE_FMA
  (void)d;
  return hn::MulAdd(a, b, c);
#else
  using T = hn::TFromD<D>;
  HWY_ALIGN T x[hn::MaxLanes(D())], y[hn::MaxLanes(D())], z[hn::MaxLanes(D())];
  hn::Store(a, d, x);
  hn::Store(b, d, y);
  hn::Store(c, d, z);
  for (std::size_t lane = 0; lane < hn::MaxLanes(D()); ++lane) z[lane] = std::fma(x[lane], y[lane], z[lane]);
  return hn::Load(d, z);
#endif
}
