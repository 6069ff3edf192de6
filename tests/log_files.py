"""Small real logs of every format that tests write: MCAP and bags through their own writers, data set folders by hand.

All of them show the same drive: frame n at n / 10 s, speed 10 m/s plus the time, yaw rate 0.1 rad/s to the left,
acceleration 1 m/s2 forward; sensors at 50 Hz for as long as the frames.
"""

import base64
import io
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from mcap.writer import CompressionType, Writer
from PIL import Image
from rosbags.rosbag1 import Writer as BagWriter
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin
from rosbags.rosbag2 import Writer as Bag2Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from drive_files import numbered_frame, write_video
from drivelet.core.artifacts import ImageArray

START_NS = 1_600_000_000_000_000_000
FRAMES = 12
FPS = 10
HZ = 50
SPEED, YAW_RATE, ACCELERATION = 10.0, 0.1, 1.0
VIDEO_TEXT = "builtin_interfaces/Time timestamp\nstring frame_id\nuint8[] data\nstring format\n"
FFMPEG_TEXT = (
    "std_msgs/Header header\nint32 width\nint32 height\nstring encoding\nuint64 pts\nuint8 flags\nbool is_bigendian\n"
    "uint8[] data\n"
)


def jpeg(picture: ImageArray) -> bytes:
    """Return a picture as JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="JPEG", quality=95)
    return buffer.getvalue()


def frame_times(frames: int = FRAMES) -> list[int]:
    """Return the nanoseconds of the frames."""
    return [START_NS + n * 10**9 // FPS for n in range(frames)]


def sensor_times(frames: int = FRAMES) -> list[int]:
    """Return the nanoseconds of the sensor samples."""
    return [START_NS + n * 10**9 // HZ for n in range(frames * HZ // FPS)]


def since(time_ns: int) -> float:
    """Return seconds from the first frame."""
    return (time_ns - START_NS) * 1e-9


@dataclass
class Entry:
    """One message to write: topic, type, times, content."""

    topic: str
    type: str
    time_ns: int
    content: dict[str, Any]
    log_ns: int | None = None


@dataclass
class Script:
    """The messages of a log in order; tests change them before they are written."""

    entries: list[Entry] = field(default_factory=list)

    def write(self, path: Path, **options: Any) -> Path:
        """Write as a bag, a SQLite bag or an MCAP file, by the suffix."""
        path.unlink(missing_ok=True)
        WRITERS[path.suffix](path, self.entries, **options)
        return path


def ros_drive(frames: int = FRAMES, *, camera: str = "/camera/front/image/compressed") -> Script:
    """Return a drive as ROS messages: one camera with calibration, an IMU and odometry."""
    entries: list[Entry] = []
    for number, time in enumerate(frame_times(frames)):
        data = np.frombuffer(jpeg(numbered_frame(number)), np.uint8)
        entries.append(Entry(camera, "sensor_msgs/msg/CompressedImage", time, {"format": "jpeg", "data": data}))
    info = {"height": 48, "width": 64, "k": [55.5, 0, 32, 0, 55.5, 24, 0, 0, 1]}
    entries.append(Entry("/camera/front/image/camera_info", "sensor_msgs/msg/CameraInfo", START_NS, info))
    for time in sensor_times(frames):
        entries.append(Entry("/imu", "sensor_msgs/msg/Imu", time, imu()))
        twist = {"linear": xyz(SPEED + since(time)), "angular": xyz(z=0.5)}
        entries.append(Entry("/odom", "nav_msgs/msg/Odometry", time, {"twist": {"twist": twist}}))
    return Script(sorted(entries, key=lambda entry: entry.time_ns))


def xyz(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> dict[str, float]:
    """Return a vector message."""
    return {"x": x, "y": y, "z": z}


def imu(
    *, acceleration: tuple[float, float, float] = (ACCELERATION, 0.2, 9.8), rate: float = YAW_RATE
) -> dict[str, Any]:
    """Return an IMU message."""
    return {"angular_velocity": xyz(z=rate), "linear_acceleration": xyz(*acceleration)}


# ---------------------------------------------------------------------- ROS messages from dictionaries


def ros_store(generation: int) -> Any:
    """Return the standard ROS 1 or ROS 2 messages."""
    store = get_typestore(Stores.ROS1_NOETIC if generation == 1 else Stores.ROS2_HUMBLE)
    if generation == 2:
        store.register(get_types_from_msg(VIDEO_TEXT, "foxglove_msgs/msg/CompressedVideo"))
        store.register(get_types_from_msg(FFMPEG_TEXT, "ffmpeg_image_transport_msgs/msg/FFMPEGPacket"))
    return store


def build(store: Any, kind: str, content: Any, time_ns: int = 0) -> Any:
    """Return a message object; fields that `content` leaves out are zero, empty, or the time."""
    if kind == "builtin_interfaces/msg/Time":
        return store.types[kind](sec=time_ns // 10**9, nanosec=time_ns % 10**9)
    values: dict[str, Any] = {}
    content = {key.lower(): value for key, value in content.items()}
    for name, (node, detail) in store.fielddefs[kind][1]:
        values[name] = _value(store, int(node), detail, content.get(name.lower()), time_ns)
    return store.types[kind](**values)


def _value(store: Any, node: int, detail: Any, given: Any, time_ns: int) -> Any:
    if node == 2:  # another message
        return build(store, detail, given or {}, time_ns)
    if node == 1:  # a number or a string
        return given if given is not None else "" if detail[0] == "string" else 0
    (_, (kind, *_)), size = detail
    dtype = {"byte": "uint8", "octet": "uint8", "char": "uint8"}.get(kind, kind)
    return np.asarray(given, dtype) if given is not None else np.zeros(size if node == 3 else 0, dtype)


# ---------------------------------------------------------------------- containers


def write_mcap(
    path: Path,
    entries: list[Entry],
    *,
    encoding: str = "cdr",
    compression: CompressionType = CompressionType.LZ4,
    chunk_size: int = 4096,
    chunked: bool = True,
) -> None:
    """Write messages in `cdr`, `ros1`, `json` or `protobuf` encoding."""
    encode, schema = ENCODINGS[encoding]()
    with path.open("wb") as stream:
        writer = Writer(stream, chunk_size=chunk_size, compression=compression, use_chunking=chunked)
        writer.start()
        channels: dict[str, int] = {}
        for entry in entries:
            if entry.topic not in channels:
                how, data = schema(entry.type)
                number = writer.register_schema(name=entry.type, encoding=how, data=data)
                channels[entry.topic] = writer.register_channel(
                    topic=entry.topic, message_encoding=encoding, schema_id=number
                )
            log_ns = entry.time_ns if entry.log_ns is None else entry.log_ns
            if entry.content:
                writer.add_message(channels[entry.topic], log_ns, encode(entry), log_ns)
        writer.finish()


Encoding = tuple[Callable[[Entry], bytes], Callable[[str], tuple[str, bytes]]]


def _cdr() -> Encoding:
    store = ros_store(2)
    return (
        lambda entry: bytes(store.serialize_cdr(build(store, entry.type, entry.content, entry.time_ns), entry.type)),
        lambda kind: ("ros2msg", store.generate_msgdef(kind, ros_version=2)[0].encode()),
    )


def _ros1() -> Encoding:
    store = ros_store(1)
    return (
        lambda entry: bytes(store.serialize_ros1(build(store, entry.type, entry.content, entry.time_ns), entry.type)),
        lambda kind: ("ros1msg", store.generate_msgdef(kind)[0].encode()),
    )


def _json() -> Encoding:
    def encode(entry: Entry) -> bytes:
        stamp = {"sec": entry.time_ns // 10**9, "nsec": entry.time_ns % 10**9}
        content = {
            key: base64.b64encode(bytes(value)).decode() if key == "data" else value
            for key, value in entry.content.items()
        }
        return json.dumps({"timestamp": stamp, **content}).encode()

    return encode, lambda kind: ("jsonschema", b'{"type": "object"}')


def _protobuf() -> Encoding:
    from foxglove_schemas_protobuf import CameraCalibration_pb2, CompressedImage_pb2, CompressedVideo_pb2, RawImage_pb2
    from mcap_protobuf.schema import build_file_descriptor_set

    modules = (CameraCalibration_pb2, CompressedImage_pb2, CompressedVideo_pb2, RawImage_pb2)
    types = {f"foxglove.{name}": getattr(m, name) for m in modules for name in m.DESCRIPTOR.message_types_by_name}

    def encode(entry: Entry) -> bytes:
        fields = {key: bytes(v) if key == "data" else v for key, v in entry.content.items()}
        message = types[entry.type](**fields)
        message.timestamp.FromNanoseconds(entry.time_ns)
        return message.SerializeToString()

    return encode, lambda kind: ("protobuf", build_file_descriptor_set(types[kind]).SerializeToString())


ENCODINGS: dict[str, Callable[[], Encoding]] = {"cdr": _cdr, "ros1": _ros1, "json": _json, "protobuf": _protobuf}


def write_bag(path: Path, entries: list[Entry], *, compression: str = "", chunk_size: int = 4096) -> None:
    """Write messages as a ROS 1 bag."""
    store = ros_store(1)
    writer = BagWriter(path)
    if compression:
        writer.set_compression(BagWriter.CompressionFormat[compression])
    writer.chunk_threshold = chunk_size
    with writer:
        connections: dict[str, Any] = {}
        for entry in entries:
            if entry.topic not in connections:
                connections[entry.topic] = writer.add_connection(entry.topic, entry.type, typestore=store)
            if entry.content:
                message = build(store, entry.type, entry.content, entry.time_ns)
                log_ns = entry.time_ns if entry.log_ns is None else entry.log_ns
                writer.write(connections[entry.topic], log_ns, bytes(store.serialize_ros1(message, entry.type)))


def write_rosbag2(folder: Path, entries: list[Entry], *, storage: str = "SQLITE3", mode: str = "NONE") -> Path:
    """Write messages as a ROS 2 bag folder, as rosbags does; return the folder."""
    store = ros_store(2)
    writer = Bag2Writer(folder, version=9, storage_plugin=StoragePlugin[storage])
    if mode != "NONE":
        writer.set_compression(CompressionMode[mode], CompressionFormat.ZSTD)
    with writer:
        connections: dict[str, Any] = {}
        for entry in entries:
            if entry.topic not in connections:
                connections[entry.topic] = writer.add_connection(entry.topic, entry.type, typestore=store)
            if entry.content:
                message = build(store, entry.type, entry.content, entry.time_ns)
                log_ns = entry.time_ns if entry.log_ns is None else entry.log_ns
                writer.write(connections[entry.topic], log_ns, bytes(store.serialize_cdr(message, entry.type)))
    return folder


def write_db3(path: Path, entries: list[Entry], *, mode: str = "NONE") -> None:
    """Write messages as one SQLite file, without the bag's folder and metadata."""
    folder = write_rosbag2(path.with_name(f"{path.name}-folder"), entries, mode=mode)
    next(file for file in folder.iterdir() if file.name != "metadata.yaml").rename(path)
    shutil.rmtree(folder)


WRITERS: dict[str, Callable[..., Any]] = {".bag": write_bag, ".mcap": write_mcap, ".db3": write_db3}


def video_packets(frames: int = FRAMES, *, codec: str = "libx264", key_every: int = 4) -> Iterator[bytes]:
    """Yield one Annex B packet a frame, without reordering, parameter sets before every key picture."""
    context: Any = av.CodecContext.create(codec, "w")
    context.width, context.height, context.pix_fmt = 64, 48, "yuv420p"
    context.time_base, context.framerate = Fraction(1, FPS), Fraction(FPS, 1)
    context.gop_size = key_every
    context.options = {"tune": "zerolatency", "bf": "0", "x264-params": "scenecut=0"}
    for number in range(frames):
        frame = av.VideoFrame.from_ndarray(numbered_frame(number), format="rgb24").reformat(format="yuv420p")
        frame.pts = number
        yield from (bytes(packet) for packet in context.encode(frame))
    yield from (bytes(packet) for packet in context.encode(None))


# ---------------------------------------------------------------------- data sets


def write_comma(folder: Path, frames: int = FRAMES) -> Path:
    """Write a comma2k19 segment: a bare HEVC video, NumPy logs on the boot clock, frame times."""
    boot = 46_400.0
    (folder / "global_pose").mkdir(parents=True)
    times = np.array([boot + since(time) for time in frame_times(frames)])
    _array(folder / "global_pose/frame_times", times)
    t = np.array([boot + since(time) for time in sensor_times(frames)])
    zeros = np.zeros_like(t)
    signals = {
        "CAN/speed": SPEED + (t - boot),
        "CAN/wheel_speed": np.repeat((SPEED + t - boot)[:, None], 4, axis=1),
        "IMU/gyro": np.stack([zeros, zeros, zeros - YAW_RATE], axis=1),
        "IMU/accelerometer": np.stack([zeros + ACCELERATION, zeros, zeros - 9.8], axis=1),
    }
    for name, values in signals.items():
        (folder / "processed_log" / name).mkdir(parents=True)
        _array(folder / "processed_log" / name / "t", t)
        _array(folder / "processed_log" / name / "value", values)
    (folder / "video.hevc").write_bytes(b"".join(video_packets(frames, codec="libx265")))
    Image.fromarray(numbered_frame(0)).save(folder / "preview.png")
    return folder


def _array(path: Path, values: Any) -> None:
    with path.open("wb") as stream:
        np.save(stream, values)


def write_comma_minute(path: Path, frames: int = FRAMES) -> Path:
    """Write the sensors of a comma2k19 segment as one archive, without pictures."""
    boot = 46_400.0
    t = np.array([boot + since(time) for time in sensor_times(frames)])
    zeros = np.zeros_like(t)
    np.savez(
        path, frame_times=np.array([boot + since(time) for time in frame_times(frames)]),
        can_speed_t=t, can_speed=SPEED + (t - boot), gyro_t=t, accelerometer_t=t,
        gyro=np.stack([zeros, zeros, zeros - YAW_RATE], axis=1),
        accelerometer=np.stack([zeros + ACCELERATION, zeros, zeros - 9.8], axis=1),
    )  # fmt: skip
    return path


def kitti_line(time_ns: int) -> str:
    """Return a time as KITTI writes it."""
    whole = np.datetime64(time_ns // 10**9, "s").astype(str).replace("T", " ")
    return f"{whole}.{time_ns % 10**9:09d}"


def write_kitti(day: Path, frames: int = FRAMES) -> Path:
    """Write a KITTI raw day with one drive; return the drive."""
    drive = day / "2011_09_26_drive_0001_sync"
    images, records = drive / "image_02" / "data", drive / "oxts" / "data"
    images.mkdir(parents=True)
    records.mkdir(parents=True)
    for number in range(frames):
        Image.fromarray(numbered_frame(number)).save(images / f"{number:010d}.png")
        values = np.zeros(30)
        values[[8, 14, 22]] = SPEED + number / FPS, ACCELERATION, YAW_RATE
        (records / f"{number:010d}.txt").write_text(" ".join(f"{value:.9g}" for value in values) + "\n")
    lines = "\n".join(kitti_line(time) for time in frame_times(frames)) + "\n"
    (drive / "image_02" / "timestamps.txt").write_text(lines)
    (drive / "oxts" / "timestamps.txt").write_text(lines)
    matrix = "7.215377e+02 0 6.095593e+02 0 0 7.215377e+02 1.728540e+02 0 0 0 1 0"
    (day / "calib_cam_to_cam.txt").write_text(f"calib_time: 09-Jan-2012 13:57:47\nP_rect_02: {matrix}\n")
    return drive


def write_nuscenes(root: Path, frames: int = FRAMES, *, can: bool = True) -> Path:
    """Write a nuScenes root of two scenes; the second has no CAN bus."""
    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in
        ("scene", "sample", "sample_data", "ego_pose", "calibrated_sensor", "sensor")}  # fmt: skip
    tables["sensor"] += [{"token": "s0", "channel": "CAM_FRONT"}, {"token": "s1", "channel": "CAM_BACK"}]
    for place in (0, 1):
        intrinsic = [[1266.4 + place, 0, 816], [0, 1266.4, 491], [0, 0, 1]]
        tables["calibrated_sensor"].append(
            {"token": f"c{place}", "sensor_token": f"s{place}", "camera_intrinsic": intrinsic}
        )
    (root / "samples/CAM_FRONT").mkdir(parents=True)
    (root / "sweeps/CAM_FRONT").mkdir(parents=True)
    (root / "can_bus").mkdir()
    for scene in ("scene-0001", "scene-0002"):
        _scene(root, scene, frames, tables)
    (root / "v1.0-mini").mkdir()
    for name, rows in tables.items():
        (root / "v1.0-mini" / f"{name}.json").write_text(json.dumps(rows, indent=0))
    if can:
        rows = [{"utime": time // 1000, "vel": [SPEED + since(time), 0, 0], "rotation_rate": [0, 0, YAW_RATE],
                 "accel": [ACCELERATION, 0, 9.8]} for time in sensor_times(frames)]  # fmt: skip
        (root / "can_bus/scene-0001_pose.json").write_text(json.dumps(rows))
        slow = [{"utime": time // 1000, "vehicle_speed": 3.6 * SPEED} for time in frame_times(frames)]
        (root / "can_bus/scene-0001_vehicle_monitor.json").write_text(json.dumps(slow))
    return root


def _scene(root: Path, name: str, frames: int, tables: dict[str, list[dict[str, Any]]]) -> None:
    tables["scene"].append({"token": f"t-{name}", "name": name})
    tables["sample"].append({"token": f"a-{name}", "scene_token": f"t-{name}"})
    radius = SPEED / YAW_RATE
    for number, time in enumerate(frame_times(frames)):
        token = f"{name}-{number}"
        file = f"{'sweeps' if number % 6 else 'samples'}/CAM_FRONT/{token}.jpg"
        (root / file).write_bytes(jpeg(numbered_frame(number)))
        tables["sample_data"].append(
            {"token": token, "sample_token": f"a-{name}", "ego_pose_token": f"p-{token}", "filename": file,
             "calibrated_sensor_token": "c0", "timestamp": time // 1000}
        )  # fmt: skip
        angle = YAW_RATE * since(time)
        tables["ego_pose"].append(
            {"token": f"p-{token}", "translation": [radius * np.sin(angle), radius * (1 - np.cos(angle)), 0.0],
             "rotation": [np.cos(angle / 2), 0, 0, np.sin(angle / 2)]}
        )  # fmt: skip


def write_bdd(root: Path, *, seconds: int = 24, upside_down: bool = False) -> Path:
    """Write a BDD100K tree of one drive that turns left, then right, and speeds up, then slows; return the video."""
    video = root / "videos/train/cabc30fc-e7726578.mov"
    video.parent.mkdir(parents=True)
    write_video(video, frames=seconds * 2, fps=2)
    start = START_NS // 10**6
    t = np.arange(0, seconds, 0.1)
    rate, force = bdd_truth(t)
    # A landscape phone: its y axis lies across, x stands up, the back camera looks along -z.
    sign = -1.0 if upside_down else 1.0
    gyro = [_phone(start, s, (sign * r, 0.0, 0.0)) for s, r in zip(t, rate, strict=True)]
    acceleration = [_phone(start, s, (sign * 9.81, 0.1, -a)) for s, a in zip(t, force, strict=True)]
    step = 0.1
    speed, course = 10 + np.cumsum(force) * step, 90 - np.degrees(np.cumsum(rate) * step)
    fixes = [{"timestamp": start + 1000 * n, "speed": speed[10 * n], "course": course[10 * n] % 360,
              "latitude": 40.7, "longitude": -74.0} for n in range(seconds)]  # fmt: skip
    info = {"startTime": start, "endTime": start + 1000 * seconds, "locations": fixes, "gyro": gyro,
            "accelerometer": acceleration}  # fmt: skip
    file = root / "info/100k/train/cabc30fc-e7726578.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(info))
    return video


def bdd_truth(t: Any) -> tuple[Any, Any]:
    """Return yaw rate and acceleration of that drive at times in seconds."""
    return 0.3 * np.sin(t * 0.5), 1.5 * np.sin(t * 0.7)


def _phone(start: int, seconds: float, values: tuple[float, float, float]) -> dict[str, float]:
    x, y, z = values
    return {"timestamp": start + round(1000 * seconds), "x": x, "y": y, "z": z}


WIDE, TELE = "camera_front_wide_120fov", "camera_front_tele_30fov"


def write_physicalai(root: Path, frames: int = FRAMES, *, clips: tuple[str, ...] = ("0a-1", "0b-2")) -> Path:
    """Write clips of the PhysicalAI-AV set unpacked: two cameras whose frames begin at 20 ms, and the car's motion."""
    for clip in clips:
        for camera in (WIDE, TELE):
            folder = root / "camera" / camera
            write_video(folder / f"{clip}.{camera}.mp4", frames=frames, fps=FPS)
            times = pa.array([20_000 + n * 10**6 // FPS for n in range(frames)], pa.int64())
            pq.write_table(pa.table({"timestamp": times}), folder / f"{clip}.{camera}.timestamps.parquet")
        ego = root / "labels" / "egomotion"
        ego.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(_egomotion(frames)), ego / f"{clip}.egomotion.parquet")
    return root


def _egomotion(frames: int) -> dict[str, Any]:
    t = np.array([since(time) for time in sensor_times(frames)])
    heading = 0.7 + YAW_RATE * t
    speed, way = SPEED + t, SPEED * t + t**2 / 2
    zeros = np.zeros_like(t)
    bend = [np.interp(t, t, np.concatenate([[0], np.cumsum(np.diff(way) * part(heading[1:]))])) for part in
            (np.cos, np.sin)]  # fmt: skip
    return {
        "timestamp": (20_000 + t * 1e6).astype(np.int64), "qx": zeros, "qy": zeros, "qz": np.sin(heading / 2),
        "qw": np.cos(heading / 2), "x": bend[0], "y": bend[1], "z": zeros, "vx": speed * np.cos(heading),
        "vy": speed * np.sin(heading), "vz": zeros, "ax": ACCELERATION * np.cos(heading),
        "ay": ACCELERATION * np.sin(heading), "az": zeros, "curvature": YAW_RATE / speed,
    }  # fmt: skip


def zip_physicalai(root: Path) -> Path:
    """Pack an unpacked set into chunks, as it is downloaded."""
    for folder in (*(root / "camera").iterdir(), root / "labels" / "egomotion"):
        files = sorted(folder.iterdir())
        with zipfile.ZipFile(folder / f"{folder.name}.chunk_0000.zip", "w") as archive:
            for file in files:
                archive.write(file, file.name)
                file.unlink()
    return root
