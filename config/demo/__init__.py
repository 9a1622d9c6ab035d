"""The demo plant: pictures of a made-up part, a user's own folder of images, and a small MES."""
