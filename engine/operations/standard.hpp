#pragma once
#include <vector>

#include "engine/operation.hpp"

namespace kiban::engine {

/// Every operation of Kiban, in the order in which `kiban ops` lists them. To add one, declare its function here and
/// call it in standard.cpp.
std::vector<Operation> standard_operations();

Operation ct_geometry();
Operation ct_simulate();
Operation ct_fdk();
Operation ct_fbp();
Operation variant_pairhmm();
Operation variant_genotype();
Operation image_components();
Operation image_clean();
Operation image_distance();
Operation image_statistics();
Operation image_threshold();
Operation image_otsu();
Operation image_resample();
Operation image_argmax();
Operation image_morphology();
Operation image_grey();
Operation image_metrics();
Operation image_gaussian();
Operation image_median();
Operation image_grow();
Operation image_watershed();
Operation image_minima();
Operation image_reconstruct();
Operation segment_body();
Operation segment_lungs();
Operation skeleton_affine();

}  // namespace kiban::engine
