#include "engine/operations/standard.hpp"

namespace kiban::engine {

std::vector<Operation> standard_operations() {
  return {ct_geometry(),      ct_simulate(),       ct_fdk(),
          ct_fbp(),           variant_pairhmm(),   variant_genotype(),
          image_components(), image_clean(),       image_distance(),
          image_statistics(), image_threshold(),   image_otsu(),
          image_resample(),   image_argmax(),      image_morphology(),
          image_grey(),       image_metrics(),     image_gaussian(),
          image_median(),     image_grow(),        image_watershed(),
          image_minima(),     image_reconstruct(), segment_body(),
          segment_lungs(),    skeleton_affine()};
}

}  // namespace kiban::engine
