"""The part of Triton's model_config.proto that configurations of exported steps use, as messages of
protobuf: names, numbers and types are those of Triton, so its text format is read as Triton does.

tritonclient has the whole of it, and needs an older protobuf than other packages of the tests.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_FIELD = descriptor_pb2.FieldDescriptorProto
_KINDS = {
    "string": _FIELD.TYPE_STRING,
    "int32": _FIELD.TYPE_INT32,
    "int64": _FIELD.TYPE_INT64,
    "uint64": _FIELD.TYPE_UINT64,
    "bool": _FIELD.TYPE_BOOL,
}
_TYPES = {"BOOL": 1, "UINT8": 2, "INT32": 8, "INT64": 9, "FP16": 10, "FP32": 11}
_MESSAGES = {
    "ModelInput": ("1 name string", "2 data_type DataType", "4 dims int64 *"),
    "ModelOutput": ("1 name string", "2 data_type DataType", "3 dims int64 *"),
    "InitialState": (
        *("1 data_type DataType", "2 dims int64 *", "3 zero_data bool", "5 name string"),
    ),
    "State": (
        *("1 input_name string", "2 output_name string", "3 data_type DataType", "4 dims int64 *"),
        "5 initial_state InitialState *",
    ),
    "StrategyDirect": (),
    "ModelSequenceBatching": (
        *("1 max_sequence_idle_microseconds uint64", "3 direct StrategyDirect", "5 state State *"),
    ),
    "ModelConfig": (
        *("1 name string", "17 backend string", "4 max_batch_size int32", "5 input ModelInput *"),
        *("6 output ModelOutput *", "13 sequence_batching ModelSequenceBatching"),
    ),
}


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(
        name="triton_part.proto", package="triton_part", syntax="proto3"
    )
    types = file.enum_type.add(name="DataType")
    for name, number in {"INVALID": 0, **_TYPES}.items():
        types.value.add(name=f"TYPE_{name}", number=number)
    for message, lines in _MESSAGES.items():
        made = file.message_type.add(name=message)
        for number, name, kind, *repeated in map(str.split, lines):
            field = made.field.add(name=name, number=int(number))
            field.label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
            if kind in _KINDS:
                field.type = _KINDS[kind]
            else:
                field.type = _FIELD.TYPE_ENUM if kind == "DataType" else _FIELD.TYPE_MESSAGE
                field.type_name = f".triton_part.{kind}"
    return file


def model_config() -> Any:
    """Returns an empty `ModelConfig`."""
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_file())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("triton_part.ModelConfig"))()


def type_name(config: Any, number: int) -> str:
    """Returns the name of a data type, such as TYPE_FP32."""
    types = config.DESCRIPTOR.file.enum_types_by_name["DataType"]
    return str(types.values_by_number[number].name)
