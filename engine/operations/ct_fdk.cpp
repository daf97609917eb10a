#include "engine/operations/ct_inputs.hpp"
#include "engine/operations/reconstruction.hpp"
#include "engine/operations/standard.hpp"

namespace kiban::engine {
namespace {

/// Line integrals that are there already, with their geometry beside them.
class StoredLineIntegrals : public LineIntegrals {
 public:
  explicit StoredLineIntegrals(const Request& request)
      : projections_(request), geometry_(geometry_for(request, projections_)) {}

  std::string name() const override { return projections_.name(); }
  ct::Geometry planned_geometry() const override { return geometry_; }
  ct::Geometry geometry(Stream&, Progress&) override { return geometry_; }
  Span<const float, 3> read(Stream& stream, Progress& progress, std::int64_t first, std::int64_t count) override {
    progress.enter("read");
    return projections_.read(stream, first, count);
  }
  void prefetch(Progress& progress) override { projections_.prefetch(progress); }
  std::size_t prefetch_bytes() const override { return projections_.prefetch_bytes(); }

 private:
  Projections projections_;
  ct::Geometry geometry_;
};

}  // namespace

Operation ct_fdk() {
  Operation operation;
  operation.name = "ct.fdk";
  operation.summary =
      "Reconstructs a volume from a circular cone-beam (or parallel) scan: Feldkamp, Davis and Kress 1984";
  operation.notes = {
      "Projections are line integrals (-log of the transmission), a stack [view,row,column] whose header places pixel "
      "(0,0) on the detector in mm, as RTK has it.",
      "The scanner's frame is IEC 61217 with the rotation about y; `--patient-position` leads from it to DICOM's.",
      "The volume is in mm^-1. With `--mu-water` it is in HU: 1000 (mu - water) / water.",
      "An .mha is written uncompressed and fastest; .nii.gz is compressed, smaller and slower.",
  };
  operation.ports = {
      {"projections", PortDirection::in, PortKind::projections, true,
       "Line integrals: .mha, .mhd, .nrrd, .nii, .nii.gz, .tif, or a folder or pattern of .tif"},
      {"geometry", PortDirection::in, PortKind::geometry, true, "RTK's geometry XML, one entry a view"},
  };
  operation.parameters = {
      Parameter::real("pixel-mm", "mm",
                      "Pitch of the detector's pixels, centred, for files that know no lengths (TIFF)")
          .or_else("what the projections' header says")
          .above(0)
          .at_most(1e4),
  };
  declare_reconstruction(operation);
  operation.load = [](const Request& request) {
    return reconstruct(std::make_unique<StoredLineIntegrals>(request), request);
  };
  return operation;
}

}  // namespace kiban::engine
