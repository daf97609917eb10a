#include "engine/operations/standard.hpp"

namespace kiban::engine {

std::vector<Operation> standard_operations() { return {skeleton_affine()}; }

}  // namespace kiban::engine
