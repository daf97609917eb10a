// Included inside the namespace of a backend, which defines KIBAN_HD and, for its value types T,
//   splat<T>(scalar), add, subtract, multiply, divide, multiply_add(a, b, c) = a b + c, square_root, magnitude,
//   lesser, larger, round_up, round_down, where_greater(a, b, x, y) = x where a > b, else y.

template <class T>
struct TracedRay {
  T b, c, slope_b, slope_c, enter, leave, step, axis;
};

template <class T>
KIBAN_HD inline T linear(const double (&coefficient)[3], T u, T v) {
  return multiply_add(u, splat<T>(coefficient[1]), multiply_add(v, splat<T>(coefficient[2]), splat<T>(coefficient[0])));
}

/// Where in t the ray is between two faces of the box; never divides by zero.
template <class T>
KIBAN_HD inline void clip(T point, T direction, double low, double high, T& enter, T& leave) {
  const T tiny = splat<T>(1e-150);
  const T safe = where_greater(tiny, magnitude(direction), tiny, direction);
  const T t0 = divide(subtract(splat<T>(low), point), safe), t1 = divide(subtract(splat<T>(high), point), safe);
  enter = larger(enter, lesser(t0, t1));
  leave = lesser(leave, larger(t0, t1));
}

/// Chooses by the axis along which the index moves fastest; by the first of equals.
template <class T>
struct Fastest {
  T x, y, z;  ///< magnitudes
  KIBAN_HD T select(T for_x, T for_y, T for_z) const {
    return where_greater(z, larger(x, y), for_z, where_greater(y, x, for_y, for_x));
  }
};

/// The ray of pixel (u, v). T is of doubles.
template <class T>
KIBAN_HD inline TracedRay<T> trace(const JosephView& view, const JosephGrid& grid, T u, T v) {
  T point[3], direction[3];
  T squared_mm = splat<T>(0.0), enter = splat<T>(view.low), leave = splat<T>(view.high);
  for (int a = 0; a < 3; ++a) {
    point[a] = linear(view.point[a], u, v);
    direction[a] = linear(view.direction[a], u, v);
    const T mm = linear(view.direction_mm[a], u, v);
    squared_mm = multiply_add(mm, mm, squared_mm);
    clip(point[a], direction[a], grid.low[a], grid.high[a], enter, leave);
  }
  const Fastest<T> fastest{magnitude(direction[0]), magnitude(direction[1]), magnitude(direction[2])};
  const T one = splat<T>(1.0);
  const T inverse = divide(one, fastest.select(direction[0], direction[1], direction[2]));
  const T own = fastest.select(point[0], point[1], point[2]);
  const T middle = fastest.select(splat<T>(0.5 * static_cast<double>(grid.extent[0] - 1)),
                                  splat<T>(0.5 * static_cast<double>(grid.extent[1] - 1)),
                                  splat<T>(0.5 * static_cast<double>(grid.extent[2] - 1)));
  TracedRay<T> ray;
  ray.slope_b = multiply(fastest.select(direction[1], direction[0], direction[0]), inverse);
  ray.slope_c = multiply(fastest.select(direction[2], direction[2], direction[1]), inverse);
  ray.b = multiply_add(subtract(middle, own), ray.slope_b, fastest.select(point[1], point[0], point[0]));
  ray.c = multiply_add(subtract(middle, own), ray.slope_c, fastest.select(point[2], point[2], point[1]));
  const T own_enter = multiply_add(enter, divide(one, inverse), own);
  const T own_leave = multiply_add(leave, divide(one, inverse), own);
  const T nowhere = splat<T>(-1e6);
  ray.enter = where_greater(leave, enter, lesser(own_enter, own_leave), nowhere);
  ray.leave = where_greater(leave, enter, larger(own_enter, own_leave), nowhere);
  ray.step = where_greater(leave, enter, multiply(square_root(squared_mm), magnitude(inverse)), splat<T>(0.0));
  ray.axis = fastest.select(splat<T>(0.0), one, splat<T>(2.0));
  return ray;
}

/// The part of the slice's [slice - 1/2, slice + 1/2] between where the ray enters and leaves. T is of floats from here
/// on.
template <class T>
KIBAN_HD inline T share_of_slice(T slice, T enter, T leave) {
  const T half = splat<T>(0.5f);
  const T share = subtract(lesser(add(slice, half), leave), larger(subtract(slice, half), enter));
  return larger(share, splat<T>(0.0f));
}

/// Position along one of the other axes at a slice that is `from_middle` away from the middle one, kept on the voxels.
template <class T>
KIBAN_HD inline T position_in_slice(T at_middle, T slope, T from_middle, T last) {
  return lesser(larger(multiply_add(from_middle, slope, at_middle), splat<T>(0.0f)), last);
}

/// Bilinear weight of a voxel at this distance.
template <class T>
KIBAN_HD inline T hat(T distance) {
  return larger(subtract(splat<T>(1.0f), magnitude(distance)), splat<T>(0.0f));
}

/// Pixels whose rays may pass within a voxel of (x, y, z) in the plane across `axis`: first and last, whole numbers
/// held on the panel; none where last < first.
template <class T>
struct PixelBox {
  T u0, u1, v0, v1;
};
/// From and to where a square reaches on one axis of the panel, its centre being imaged at `centre`.
template <class T>
KIBAN_HD inline void bounds(T centre, float along_b, float along_c, float w_along_b, float w_along_c, T widest, T last,
                            T& from, T& to) {
  const T reach_b = magnitude(multiply_add(centre, splat<T>(-w_along_b), splat<T>(along_b)));
  const T reach_c = magnitude(multiply_add(centre, splat<T>(-w_along_c), splat<T>(along_c)));
  const T reach = multiply_add(widest, add(reach_b, reach_c), splat<T>(0.02f));
  from = round_up(larger(subtract(centre, reach), splat<T>(0.0f)));
  to = round_down(lesser(add(centre, reach), last));
}

template <class T>
KIBAN_HD inline PixelBox<T> pixels_around(const JosephView& view, const T (&voxel)[3], int axis, float rows,
                                          float columns) {
  const float(&m)[3][4] = view.panel;
  const int b = axis == 0 ? 1 : 0, c = axis == 2 ? 1 : 2;
  const T zero = splat<T>(0.0f), last_u = splat<T>(columns - 1), last_v = splat<T>(rows - 1);
  T h[3];
  for (int i = 0; i < 3; ++i)
    h[i] = multiply_add(
        splat<T>(m[i][0]), voxel[0],
        multiply_add(splat<T>(m[i][1]), voxel[1], multiply_add(splat<T>(m[i][2]), voxel[2], splat<T>(m[i][3]))));
  // The exact bound of a perspective image of a square, and a little for what rays gain at the faces of the box.
  const T reach_w = add(magnitude(splat<T>(m[2][b])), magnitude(splat<T>(m[2][c])));
  const T nearest_w = subtract(h[2], reach_w);
  const T inverse = divide(splat<T>(1.0f), h[2]), widest = divide(splat<T>(1.02f), nearest_w);
  PixelBox<T> box;
  bounds(multiply(h[0], inverse), m[0][b], m[0][c], m[2][b], m[2][c], widest, last_u, box.u0, box.u1);
  bounds(multiply(h[1], inverse), m[1][b], m[1][c], m[2][b], m[2][c], widest, last_v, box.v0, box.v1);
  // Beside the source the whole panel, and behind it none. But a ray that begins within half a slice is sampled at the
  // middle of that slice, which may lie behind: around the source it is the whole panel too.
  const T from_source =
      larger(subtract(magnitude(subtract(voxel[axis], splat<T>(view.source[axis]))), splat<T>(0.51f)),
             larger(subtract(magnitude(subtract(voxel[b], splat<T>(view.source[b]))), splat<T>(1.51f)),
                    subtract(magnitude(subtract(voxel[c], splat<T>(view.source[c]))), splat<T>(1.51f))));
  const T furthest_w = add(h[2], reach_w);
  const T ahead = where_greater(nearest_w, zero, splat<T>(1.0f), zero);    // wholly
  const T behind = where_greater(furthest_w, zero, zero, splat<T>(1.0f));  // wholly
  const T around = where_greater(from_source, zero, zero, splat<T>(1.0f));
  const T none = splat<T>(-1.0f), half = splat<T>(0.5f);
  const T whole = larger(around, subtract(splat<T>(1.0f), add(ahead, behind)));
  box.u0 = where_greater(whole, half, zero, where_greater(behind, half, zero, box.u0));
  box.v0 = where_greater(whole, half, zero, where_greater(behind, half, zero, box.v0));
  box.u1 = where_greater(whole, half, last_u, where_greater(behind, half, none, box.u1));
  box.v1 = where_greater(whole, half, last_v, where_greater(behind, half, none, box.v1));
  return box;
}
