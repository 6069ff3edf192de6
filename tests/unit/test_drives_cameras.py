import pytest

from drivelet.drives.cameras import camera_rank, chosen_of


def best(*names):
    return min(names, key=camera_rank)


@pytest.mark.parametrize(
    "names",
    [
        ("/camera_front/image", "/camera_front_left/image", "/camera_rear/image"),
        ("CAM_FRONT", "CAM_BACK", "CAM_BACK_LEFT", "CAM_FRONT_LEFT", "CAM_FRONT_RIGHT"),
        ("camera_front_wide_120fov", "camera_cross_left_120fov", "camera_front_tele_30fov", "camera_rear_tele_30fov"),
        ("/camera/color/image_raw", "/camera/depth/image_rect_raw", "/camera/infra1/image_rect_raw"),
        ("/camera/color/image_raw", "/camera/aligned_depth_to_color/image_raw"),
        ("/stereo/left/image", "/stereo/right/image", "/stereo/disparity"),
        ("/usb_cam/image_raw", "/cabin/image_raw", "/left/image_raw", "/thermal/image_raw"),
        ("FrontCamera", "FrontLeftCamera", "RearCamera", "frontleft"),
        ("/camera/image", "/lidar/intensity_image", "/camera/image/thumbnail", "/ir/image"),
        ("/front/rgb", "/front/mono"),
        ("/bright/image", "/right/image"),
        ("/camera_driver/image_raw", "/fl/image_raw", "/rear_view/image_raw"),
    ],
)
def test_the_camera_that_looks_ahead_is_taken_whatever_the_order(names):
    assert best(*names) == best(*reversed(names)) == names[0]


def test_a_depth_map_is_told_by_its_encoding():
    assert camera_rank("/front/image", "16UC1") > camera_rank("/other/image", "rgb8")


def test_the_choice_is_told_with_how_to_change_it():
    assert chosen_of("/front", []) == ""
    assert chosen_of("/front", ["/b", "/a"]) == "camera /front, not /a, /b: another with --set camera=NAME"
    assert chosen_of("/front", [f"/{n}" for n in range(9)]).endswith("/5, 3 more: another with --set camera=NAME")
