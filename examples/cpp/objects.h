// Outputs of the graph to objects: step 7 of "The contract of a graph" (docs/deployment.md).
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "streamed_network.h"

namespace objects {

constexpr double kPi = 3.14159265358979323846;
constexpr size_t kYaw = 6;

struct Point {
  double x, y;
};

struct Object {
  int query_index, class_id, occlusion_level;
  // In the ego frame: x y z of the centre, length, width, height in metres, yaw, vx vy vz in m/s.
  std::array<double, 10> box;
  double score;
};

// Returns the corners of a box seen from above, counter-clockwise, relative to `origin`. Positions
// are subtracted first, so that large coordinates cost no accuracy.
inline std::vector<Point> footprint(const Object& object, const Point& origin) {
  const auto& [x, y, z, length, width, height, yaw, vx, vy, vz] = object.box;
  const double c = std::cos(yaw), s = std::sin(yaw);
  std::vector<Point> corners;
  for (const auto& [along, across] : {Point{1, 1}, Point{-1, 1}, Point{-1, -1}, Point{1, -1}}) {
    const double ahead = along * length / 2, left = across * width / 2;
    corners.push_back({x - origin.x + c * ahead - s * left, y - origin.y + s * ahead + c * left});
  }
  return corners;
}

// Returns on which side of the line from a to b a point is: positive on its left.
inline double side(const Point& a, const Point& b, const Point& point) {
  return (b.x - a.x) * (point.y - a.y) - (b.y - a.y) * (point.x - a.x);
}

// Returns the part of a polygon on the left of the line from a to b (Sutherland and Hodgman).
inline std::vector<Point> clipped(const std::vector<Point>& polygon, const Point& a,
                                  const Point& b) {
  std::vector<Point> inside;
  for (size_t i = 0; i < polygon.size(); ++i) {
    const Point &p = polygon[i], &q = polygon[(i + 1) % polygon.size()];
    const double of_p = side(a, b, p), of_q = side(a, b, q);
    if (of_p >= 0) inside.push_back(p);
    if ((of_p >= 0) != (of_q >= 0)) {
      const double share = of_p / (of_p - of_q);
      inside.push_back({p.x + share * (q.x - p.x), p.y + share * (q.y - p.y)});
    }
  }
  return inside;
}

// Returns the overlap over the union of two boxes seen from above.
inline double iou_bev(const Object& one, const Object& two) {
  const Point origin{one.box[0], one.box[1]};
  std::vector<Point> shared = footprint(one, origin);
  const std::vector<Point> other = footprint(two, origin);
  for (size_t i = 0; i < 4; ++i) shared = clipped(shared, other[i], other[(i + 1) % 4]);
  double area = 0;
  for (size_t i = 1; i + 1 < shared.size(); ++i) {
    area += side(shared[0], shared[i], shared[i + 1]) / 2;
  }
  const double both = one.box[3] * one.box[4] + two.box[3] * two.box[4] - area;
  return both > 0 ? area / both : 0;
}

// Returns the objects that no better one of their class overlaps by more than `most_iou`, the most
// confident first, `most` of them at most.
inline std::vector<Object> suppressed(std::vector<Object> found, double most_iou, size_t most) {
  const auto better = [](const Object& a, const Object& b) { return a.score > b.score; };
  std::stable_sort(found.begin(), found.end(), better);
  std::vector<Object> kept;
  for (const Object& object : found) {
    const auto overlaps = [&](const Object& other) {
      return other.class_id == object.class_id && iou_bev(other, object) > most_iou;
    };
    if (kept.size() == most) break;
    if (std::none_of(kept.begin(), kept.end(), overlaps)) kept.push_back(object);
  }
  return kept;
}

// Decodes the outputs of a graph.
class Decoder {
 public:
  // Throws std::runtime_error for settings that no network has.
  explicit Decoder(const Settings& settings)
      : settings_(settings),
        min_score_(settings.number("config.evaluation.min_score")),
        nms_iou_(settings.number("config.evaluation.nms_iou")),
        max_detections_(settings.count("config.evaluation.max_detections", 0)) {
    for (size_t axis = 0; axis < 3; ++axis) {
      const std::string range = std::string("config.bev.") + "xyz"[axis] + "_range_m";
      const std::vector<double> bounds = settings.numbers(range, 2, -recording::kLargest);
      low_m_[axis] = bounds[0], high_m_[axis] = bounds[1];
    }
  }

  // Returns the objects of a frame, the most confident first; none for a network without objects.
  // Their classes are in `classes` of the settings.
  std::vector<Object> decoded(Tensors& outputs) const {
    std::vector<Object> found;
    if (!outputs.count("class_logits")) return found;
    const auto shape = outputs.at("class_logits").GetTensorTypeAndShapeInfo().GetShape();
    if (shape.back() != int64_t(settings_.words("classes").size())) {
      throw settings_.fault("classes", "names not as many classes as class_logits has, which is " +
                                           std::to_string(shape.back()));
    }
    const auto levels =
        outputs.at("occlusion_thresholds").GetTensorTypeAndShapeInfo().GetShape()[0];
    const float* logits = outputs.at("class_logits").GetTensorData<float>();
    const float* row = outputs.at("boxes").GetTensorData<float>();
    const float* occlusion = outputs.at("occlusion_score").GetTensorData<float>();
    const float* thresholds = outputs.at("occlusion_thresholds").GetTensorData<float>();
    for (int query = 0; query < shape[1]; ++query, logits += shape[2], row += 11) {
      std::vector<float> confidence(logits, logits + shape[2]);
      for (float& value : confidence) value = 1 / (1 + std::exp(-value));
      const auto best = std::max_element(confidence.begin(), confidence.end());
      Object object{query, int(best - confidence.begin()), 0, {}, *best};
      for (size_t axis = 0; axis < 3; ++axis) {  // [0, 1] of the BEV range, to metres
        object.box[axis] = row[axis] * (high_m_[axis] - low_m_[axis]) + low_m_[axis];
        object.box[3 + axis] = row[3 + axis];
        object.box[7 + axis] = row[8 + axis];
      }
      object.box[kYaw] = std::atan2(row[6], row[7]);
      const auto passed = [&](float threshold) { return occlusion[query] > threshold; };
      object.occlusion_level = std::count_if(thresholds, thresholds + levels, passed);
      const auto is_finite = [](double value) { return std::isfinite(value); };
      const bool is_sound = std::all_of(object.box.begin(), object.box.end(), is_finite) &&
                            std::all_of(confidence.begin(), confidence.end(), is_finite);
      if (is_sound && object.score >= min_score_) found.push_back(object);
    }
    return suppressed(found, nms_iou_, max_detections_);
  }

 private:
  const Settings& settings_;
  double min_score_, nms_iou_;
  size_t max_detections_;
  std::array<float, 3> low_m_, high_m_;
};

}  // namespace objects
