// Runs an exported network over a recorded drive with ONNX Runtime's C++ API, prints the objects,
// and compares them and the map with what Python found:
//
//     cmake -S examples/cpp -B build -DCMAKE_PREFIX_PATH=FOLDER_OF_ONNXRUNTIME
//     cmake --build build
//     build/stream_drive EXPORTED/step.onnx RECORDED
//
// It exits with 1 where they differ, and with 2 where something cannot be read.
//
// Images, cells and pillars depend on the sensors of a vehicle, and come from the recording. The
// tracker is not here; no output but the track ids depends on it.

#include <cstdio>
#include <ctime>
#include <limits>

#include "objects.h"
#include "streamed_network.h"

using objects::Object;
using recording::Array;

constexpr double kTolerance = 0.01;  // of a box (m, rad, m/s), a confidence and a logit of the map
constexpr double kInfinite = std::numeric_limits<double>::infinity();

// Returns the larger of two differences; one that is not a number is infinite.
double larger(double largest, double difference) {
  return std::isnan(difference) ? kInfinite : std::max(largest, difference);
}

// Returns the largest difference of objects from the rows that Python wrote, matched by query.
// Infinite: one is missing, or differs in its class or in the level of its occlusion.
double difference(const std::vector<Object>& found, const Array& expected) {
  const size_t columns = 14;
  const double* rows = expected.values<double>();
  if (expected.type != "f8" || found.size() * columns * sizeof(double) != expected.bytes.size()) {
    return kInfinite;
  }
  double largest = 0;
  for (const Object& object : found) {
    size_t i = 0;
    while (i < found.size() && rows[i * columns] != object.query_index) ++i;
    if (i == found.size()) return kInfinite;
    const double* row = rows + i * columns;
    if (row[1] != object.class_id || row[2] != object.occlusion_level) return kInfinite;
    for (size_t value = 0; value < object.box.size(); ++value) {
      double off = object.box[value] - row[3 + value];
      if (value == objects::kYaw) off = std::remainder(off, 2 * objects::kPi);
      largest = larger(largest, std::abs(off));
    }
    largest = larger(largest, std::abs(object.score - row[13]));
  }
  return largest;
}

// Returns the largest difference of the logits of the map; 0 for a network without a map. Infinite:
// they have another type or size, or Python found a map and there is none.
double map_difference(Tensors& outputs, const Frame& frame) {
  const std::filesystem::path path = frame.folder / "expected" / "map_logits.npy";
  if (!outputs.count("map_logits")) return std::filesystem::exists(path) ? kInfinite : 0;
  const Array expected = recording::read_array(path);
  const float* found = outputs.at("map_logits").GetTensorData<float>();
  const size_t count = outputs.at("map_logits").GetTensorTypeAndShapeInfo().GetElementCount();
  if (expected.type != "f4" || expected.bytes.size() != count * sizeof(float)) return kInfinite;
  double largest = 0;
  for (size_t i = 0; i < count; ++i) {
    largest = larger(largest, std::abs(double(found[i]) - expected.values<float>()[i]));
  }
  return largest;
}

int run(const char* graph, const char* recorded) {
  const Settings settings(std::string(recorded) + "/settings.txt");
  const auto& classes = settings.words("classes");
  StreamedNetwork network(graph, settings);
  const objects::Decoder decoder(settings);
  Arrays sensors;
  std::vector<double> seconds;
  double of_objects = 0, of_map = 0;
  size_t agree = 0;
  for (const Frame& frame : recording::read_frames(recorded, settings)) {
    recording::read_inputs(frame, sensors);
    const std::clock_t start = std::clock();
    Tensors outputs = network.step(frame, sensors);
    const std::vector<Object> found = decoder.decoded(outputs);
    seconds.push_back(double(std::clock() - start) / CLOCKS_PER_SEC);
    std::printf("%s at %.3f s: %zu objects\n", frame.sequence.c_str(), frame.timestamp_us / 1e6,
                found.size());
    for (const Object& object : found) {
      std::printf("  %-20s x %6.1f  y %6.1f  yaw %5.2f  %.2f\n", classes[object.class_id].c_str(),
                  object.box[0], object.box[1], object.box[objects::kYaw], object.score);
    }
    const double off =
        difference(found, recording::read_array(frame.folder / "expected" / "objects.npy"));
    const double map_off = map_difference(outputs, frame);
    agree += off <= kTolerance && map_off <= kTolerance;
    of_objects = std::max(of_objects, off), of_map = std::max(of_map, map_off);
  }
  std::nth_element(seconds.begin(), seconds.begin() + seconds.size() / 2, seconds.end());
  std::printf(
      "%zu of %zu frames agree with Python within %g; largest difference of objects %.2g, "
      "of logits of the map %.2g; %.1f ms of CPU a frame (median)\n",
      agree, seconds.size(), kTolerance, of_objects, of_map, 1e3 * seconds[seconds.size() / 2]);
  return agree == seconds.size() ? 0 : 1;
}

int main(int count, char** arguments) {
  if (count != 3) {
    std::fprintf(stderr, "usage: stream_drive EXPORTED/step.onnx RECORDED\n");
    return 2;
  }
  try {
    return run(arguments[1], arguments[2]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 2;
  }
}
